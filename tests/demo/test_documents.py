import random

import numpy as np
import pytest

from rh_lens.demo.training.curriculum import CURRICULUM, Stage, learning_rate, stage_at, total_steps
from rh_lens.demo.training.documents import DocumentWriter
from rh_lens.demo.training.tokenizer import train_tokenizer, word_pieces
from rh_lens.demo.training.word_splitting import Segmenter


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(vocabulary=600, max_length=512, seed=0, n_lines=2000)


@pytest.fixture(scope="module")
def writer(tokenizer):
    return DocumentWriter(tokenizer, random.Random(0), n_filler_sentences=200)


def test_the_tokenizer_puts_one_bos_before_a_text(tokenizer):
    ids = tokenizer("A red trumpet.")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id == 0
    assert ids.count(0) == 1
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id, len(tokenizer)) == (1, 2, 600)
    assert tokenizer.decode(ids[1:]) == "A red trumpet."


def test_word_pieces_are_letters_or_digits(tokenizer):
    pieces = word_pieces(tokenizer)
    assert len(pieces) > 300
    assert all(piece.strip().isalnum() for piece in pieces)


@pytest.mark.parametrize("length", [96, 192, 500])
def test_documents_have_exactly_the_length_asked_for(writer, length):
    for _ in range(20):
        for document in (writer.questions(length, 4), writer.repeated_span(length)):
            assert len(document.tokens) == len(document.answers) == length
            assert document.tokens[0] == 0
            assert document.answers.any()


def test_an_answer_repeats_the_facts_tokens_and_ends_the_sequence(writer, tokenizer):
    for _ in range(20):
        document = writer.questions(256, 3)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], document.answers.astype(int), [0]])))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            *answer, end = document.tokens[start:stop].tolist()
            assert end == tokenizer.eos_token_id
            before = document.tokens[:start].tolist()
            n = len(answer)
            assert any(before[i : i + n] == answer for i in range(start - n))
        assert document.answers[-1]


def test_a_repeated_span_can_be_predicted_where_it_is_marked(writer):
    document = writer.repeated_span(200)
    marked = np.flatnonzero(document.answers)
    (period,) = {
        period
        for period in range(1, 200)
        if (document.tokens[marked] == document.tokens[marked - period]).all()
        and not document.answers[period]
    } or {0}
    assert 200 // 8 <= period <= 200 // 2


def test_the_same_seed_writes_the_same_documents(tokenizer):
    stage = Stage(128, 4, 1.0, max_facts=3, repeated=0.5, drop_heads=0.0)
    batches = [
        DocumentWriter(tokenizer, random.Random(7), n_filler_sentences=50).batch(stage)
        for _ in range(2)
    ]
    for one, other in zip(*batches, strict=True):
        assert (one.tokens == other.tokens).all()


def test_a_word_is_cut_alike_wherever_it_stands(tokenizer):
    segmenter, rng = Segmenter(tokenizer), random.Random(3)
    n_cut = 0
    for _ in range(40):
        text, tail = segmenter.encode([" The motto is proud theatre.", " proud theatre."], rng)
        assert text[-len(tail) :] == tail
        assert tokenizer.decode(text) == " The motto is proud theatre."
        n_cut += text != tokenizer.encode(" The motto is proud theatre.", add_special_tokens=False)
    assert 5 < n_cut < 30


def test_stages_follow_one_another():
    assert stage_at(0) == CURRICULUM[0]
    assert stage_at(CURRICULUM[0].n_steps) == CURRICULUM[1]
    assert stage_at(total_steps() - 1) == CURRICULUM[-1]
    with pytest.raises(ValueError, match=f"Expected a step below {total_steps()}"):
        stage_at(total_steps())


def test_the_learning_rate_warms_up_stays_and_falls():
    assert learning_rate(0, 1000) == pytest.approx(2e-5)
    assert learning_rate(300, 1000) == 2e-3
    assert learning_rate(750, 1000) == pytest.approx((2e-3 + 5e-5) / 2)
    assert learning_rate(1000, 1000) == pytest.approx(5e-5)
