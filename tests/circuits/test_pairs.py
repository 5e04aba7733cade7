"""Corrupted prompts: as long as the clean ones, and different only where they are meant to be."""

import dataclasses

import pytest
import torch

from rh_lens.circuits import NotAlignedError, PromptPair, make_pair, make_pairs
from rh_lens.demo.training.held_out import held_out_prompts
from rh_lens.prompts import text_haystack


@pytest.fixture(scope="module")
def prompt(demo_prompts):
    return demo_prompts[0]


def changed_text(pair):
    places = pair.differing
    return pair.clean.tokenizer.decode(pair.corrupted[places[0] : places[-1] + 1])


def test_another_answer_changes_the_answers_tokens_and_no_other(prompt):
    pair = make_pair(prompt, "answer")
    start, stop = prompt.answer_span
    assert set(pair.differing) <= set(range(start, stop))
    assert pair.differing[0] == start
    assert torch.equal(pair.foil, pair.corrupted[start:stop])
    assert prompt.tokenizer.decode(pair.foil).strip() == pair.put


def test_a_removed_needle_is_replaced_by_whole_sentences(prompt):
    pair = make_pair(prompt, "needle")
    start, stop = prompt.needle_span
    assert set(pair.differing) <= set(range(start, stop))
    assert pair.put.strip()[-1] in ".!?"
    assert prompt.needle.answer not in prompt.tokenizer.decode(pair.corrupted)


def test_another_question_changes_only_the_question(prompt):
    pair = make_pair(prompt, "question")
    assert pair.differing[0] >= prompt.needle_span[1]
    text = prompt.tokenizer.decode(pair.corrupted)
    assert pair.put in text
    assert prompt.needle.question not in text
    assert prompt.needle.text in text


def test_another_key_leaves_the_answer_where_it_stands(prompt):
    pair = make_pair(prompt, "key")
    start, stop = prompt.answer_span
    assert torch.equal(pair.corrupted[start:stop], pair.answer)
    shared = {"rumour", "means", "told"} & set(prompt.needle.question.rstrip("?").split())
    assert not any(word in changed_text(pair) for word in shared)
    assert set(pair.differing) <= set(range(prompt.needle_span[0], start))


def test_candidates_are_tried_before_anything_else(prompt):
    (own,) = make_pairs([prompt], "answer").pairs
    given = make_pair(prompt, "answer", candidates=["far too long an answer for this", own.put])
    assert given.put == own.put


def test_the_same_seed_gives_the_same_pair_and_another_one_another(demo_prompts):
    def puts(seed):
        pairs = make_pairs(demo_prompts, "answer", candidates=[], seed=seed)
        return [pair.put for pair in pairs.pairs]

    assert puts(1) == puts(1)
    assert puts(1) != puts(2)


@pytest.mark.slow
@pytest.mark.parametrize("corruption", ["answer", "needle", "question", "key"])
def test_most_prompts_have_a_pair(demo, corruption):
    prompts = held_out_prompts(
        demo.tokenizer, context_lengths=[256], depths=[0.5], n_needles=24, seed=5
    )
    batch = make_pairs(prompts, corruption)
    assert len(batch) >= 0.9 * len(prompts)
    assert len(batch) + len(batch.refused) == len(prompts)


def test_prompts_without_a_pair_are_kept_with_the_reason(prompt):
    unknown = dataclasses.replace(prompt, tokenizer=None)
    batch = make_pairs([unknown, prompt], "answer")
    table = batch.to_dataframe()
    assert (len(batch), len(table)) == (1, 2)
    assert batch.refused[0][0] == 0
    assert "knows its tokenizer" in table.reason.iloc[1]
    with pytest.raises(ValueError, match=r"found none\. The first one's reason: Expected a prompt"):
        make_pairs([unknown], "answer")


def test_text_without_a_sentence_of_the_needles_length_is_refused(prompt):
    filler = text_haystack(["One two. " * 300])
    with pytest.raises(NotAlignedError, match=r"Expected whole sentences of \d+ tokens"):
        make_pair(prompt, "needle", filler=filler)


def test_a_pair_must_differ_and_be_aligned(prompt):
    tokens, foil = prompt.tokens, prompt.answer_tokens + 1
    with pytest.raises(ValueError, match="differ from the clean ones; found the same"):
        PromptPair(prompt, tokens, "answer", "", foil)
    with pytest.raises(ValueError, match="as long as the clean ones, 128 and"):
        PromptPair(prompt, tokens[1:], "answer", "", foil)
