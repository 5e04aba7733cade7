"""Harder haystacks: every sentence of every kind stands where its span says, token for token."""

import pytest

from rh_lens.cli import detect_grid
from rh_lens.demo import load_demo_model
from rh_lens.prompts import (
    ASSOCIATIONS,
    HAYSTACK_KINDS,
    Association,
    Distractor,
    Duplicate,
    Needle,
    harder_needles,
    harder_prompts,
    synthetic_haystack,
    words_in_common,
)


@pytest.fixture(scope="module")
def tokenizer():
    return load_demo_model().tokenizer


@pytest.fixture(scope="module")
def haystack():
    return synthetic_haystack(n_sentences=60)


def text(tokenizer, prompt, span):
    return tokenizer.decode(prompt.tokens[slice(*span)], clean_up_tokenization_spaces=False)


@pytest.mark.parametrize("kind", list(HAYSTACK_KINDS))
def test_spans_hold_what_was_hidden(tokenizer, haystack, kind):
    prompts = harder_prompts(
        tokenizer, haystack, kind, context_lengths=320, depths=1, n_needles=3, seed=4
    )
    assert len(prompts) == 3
    for prompt in prompts:
        needle = prompt.needle
        assert len(prompt.tokens) == 320
        assert needle.text in text(tokenizer, prompt, prompt.needle_span)
        assert needle.answer in text(tokenizer, prompt, prompt.answer_span)
        assert len(needle.distractors) == len(HAYSTACK_KINDS[kind].roles)
        assert len(prompt.distractor_spans) == len(needle.distractors)
        for other, span, answer in zip(
            needle.distractors, prompt.distractor_spans, prompt.distractor_answer_spans,
            strict=True,
        ):  # fmt: skip
            assert other.text in text(tokenizer, prompt, span)
            assert other.answer in text(tokenizer, prompt, answer)


@pytest.mark.parametrize("kind", list(HAYSTACK_KINDS))
def test_needles_of_a_kind_differ_and_come_again_with_their_seed(kind):
    needles = harder_needles(kind, 8, seed=1)
    assert len({one.question for one in needles}) == 8
    assert needles == harder_needles(kind, 8, seed=1)
    assert needles != harder_needles(kind, 8, seed=2)


def test_only_duplicates_have_the_right_answer():
    for name, kind in HAYSTACK_KINDS.items():
        for needle in harder_needles(name, 5):
            right = {answer.casefold() for answer in needle.answers}
            for role, other in zip(kind.roles, needle.distractors, strict=True):
                assert (other.answer.casefold() in right) == (role == "duplicate")
                assert isinstance(other, Duplicate) == (role == "duplicate")


def test_non_literal_needles_share_no_word_with_their_question():
    for needle in harder_needles("non-literal", len(ASSOCIATIONS), seed=3):
        assert words_in_common(needle) == set()
    (plain,) = harder_needles("plain", 1)
    assert len(words_in_common(plain)) >= 2


def test_the_table_of_associations_is_the_users():
    own = [Association("{person} paints portraits.", "Which one is an artist?")]
    (needle,) = harder_needles("non-literal", 1, associations=own)
    assert needle.question == "Which one is an artist?"
    assert needle.text == f"{needle.answer} paints portraits."
    with pytest.raises(ValueError, match=r"found \['artist'\]"):
        harder_needles(
            "non-literal", 1, associations=[Association("{person} is an artist.", "Which artist?")]
        )
    with pytest.raises(ValueError, match="Write it where the answer is"):
        harder_needles("non-literal", 1, associations=[Association("He paints.", "Who?")])


def test_the_question_stands_first_where_it_should(tokenizer, haystack):
    (prompt,) = harder_prompts(
        tokenizer, haystack, "question first", context_lengths=200, depths=1, n_needles=1
    )
    whole = tokenizer.decode(prompt.tokens)
    (needle,) = harder_needles("question first", 1)
    assert whole.index(needle.question) < whole.index(needle.text)
    assert whole.count(needle.question) == 1


def test_nothing_answers_the_unanswerable():
    for needle in harder_needles("unanswerable", 10):
        asked = needle.question.removeprefix("What did ").partition(" bring")[0]
        assert asked not in needle.text


def test_a_distractor_with_the_right_answer_is_refused_and_a_duplicate_is_not():
    with pytest.raises(ValueError, match="make it a Duplicate"):
        Needle("What?", "An otter.", "otter", (), (Distractor("The otter.", "otter"),))
    both = Needle("What?", "An otter.", "otter", (), (Duplicate("The otter.", "otter"),))
    assert both.distractors[0].answer == "otter"


def test_a_kind_has_only_so_many_needles():
    with pytest.raises(ValueError, match="Ask for fewer"):
        harder_needles("non-literal", 40)


def test_the_command_knows_all_kinds():
    assert tuple(HAYSTACK_KINDS) == detect_grid.KINDS
