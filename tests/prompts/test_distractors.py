"""Distractors: sentences of a needle's form with other answers, at other boundaries."""

import warnings
from itertools import pairwise

import pytest
from transformers import PreTrainedTokenizerBase

from rh_lens.prompts import Distractor, Haystack, Needle, NeedlePrompt, build_grid, build_prompt
from rh_lens.prompts.depths import places_beside

Tokenizers = dict[str, PreTrainedTokenizerBase]
FACTS = (
    Distractor("The lamp keeper's password is grey heron 22.", "grey heron 22"),
    Distractor("The harbour master's motto is never on a Monday.", "never on a Monday"),
    Distractor("The ferry pilot's password is Maud.", "Maud"),
)


@pytest.fixture
def beset(needle: Needle) -> Needle:
    return Needle(needle.question, needle.text, needle.answer, distractors=FACTS)


def outside(prompt: NeedlePrompt) -> list[int]:
    """Token ids that were not inserted."""
    inserted = {
        position
        for span in (prompt.needle_span, *prompt.distractor_spans)
        for position in range(*span)
    }
    return [t for i, t in enumerate(prompt.tokens.tolist()) if i not in inserted]


@pytest.mark.parametrize("depth", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_their_spans_hold_them_and_the_rest_is_the_plain_prompt(
    tokenizer: PreTrainedTokenizerBase,
    haystack: Haystack,
    needle: Needle,
    beset: Needle,
    depth: float,
):
    prompt = build_prompt(tokenizer, haystack, beset, context_length=600, depth=depth)
    assert len(prompt.tokens) == 600
    assert tokenizer.decode(prompt.answer_tokens).strip() == needle.answer
    assert len(prompt.distractor_spans) == len(prompt.distractor_answer_spans) == 3
    for fact, span, inner in zip(
        FACTS, prompt.distractor_spans, prompt.distractor_answer_spans, strict=True
    ):
        said = tokenizer.decode(prompt.tokens[slice(*span)]).lower().replace(" ", "")
        assert fact.text.lower().replace(" ", "") in said
        answer = tokenizer.decode(prompt.tokens[slice(*inner)]).lower().replace(" ", "")
        assert fact.answer.lower().replace(" ", "") in answer
        assert span[0] <= inner[0] < inner[1] <= span[1]
    n_inserted = sum(stop - start for start, stop in prompt.distractor_spans)
    plain = build_prompt(tokenizer, haystack, needle, context_length=600 - n_inserted, depth=depth)
    assert abs(len(outside(prompt)) - len(outside(plain))) <= 2
    n = min(len(outside(prompt)), len(outside(plain))) - 60
    assert outside(prompt)[:n] == outside(plain)[:n]


def test_no_two_sentences_stand_side_by_side(
    tokenizers: Tokenizers, haystack: Haystack, beset: Needle
):
    prompts = build_grid(
        tokenizers["line_joining"], haystack, [beset], context_lengths=[400, 800], depths=10
    )
    for prompt in prompts:
        spans = sorted([prompt.needle_span, *prompt.distractor_spans])
        assert all(two[0] > one[1] for one, two in pairwise(spans))


def test_the_depth_counts_haystack_tokens_only(
    tokenizers: Tokenizers, haystack: Haystack, beset: Needle
):
    prompt = build_prompt(tokenizers["byte_level"], haystack, beset, context_length=800, depth=0.75)
    start = prompt.needle_span[0]
    before = sum(stop - first for first, stop in prompt.distractor_spans if stop <= start)
    n_question = len(
        tokenizers["byte_level"](f"\n\nQuestion: {beset.question}\nAnswer:")["input_ids"]
    )
    n_hay = len(outside(prompt)) - n_question
    assert before > 0
    assert prompt.depth == (start - before) / n_hay


def test_prompts_that_differ_in_depth_share_what_stands_before_both(
    tokenizers: Tokenizers, haystack: Haystack, beset: Needle
):
    one, two = build_grid(
        tokenizers["byte_level"], haystack, [beset], context_lengths=[900], depths=[0.6, 1.0]
    )
    n = one.needle_span[0]
    assert one.tokens[:n].equal(two.tokens[:n])
    assert any(stop < n for _, stop in one.distractor_spans)


def test_fewer_can_be_asked_for(tokenizers: Tokenizers, haystack: Haystack, beset: Needle):
    tokenizer = tokenizers["byte_level"]
    for n in (0, 1, 2, 3, 9):
        prompt = build_prompt(
            tokenizer, haystack, beset, context_length=600, depth=0.5, n_distractors=n
        )
        assert len(prompt.distractor_spans) == min(n, 3)


def test_a_context_without_room_for_those_asked_for_is_refused(
    tokenizers: Tokenizers, haystack: Haystack, beset: Needle
):
    for length in (120, 190):
        with pytest.raises(
            ValueError, match=r"Expected room .* and 3 distractors, .* n_distractors"
        ):
            build_prompt(
                tokenizers["byte_level"],
                haystack,
                beset,
                context_length=length,
                depth=0.5,
                n_distractors=3,
            )


def test_by_default_as_many_are_hidden_as_have_room_and_a_warning_says_so(
    tokenizers: Tokenizers, haystack: Haystack, beset: Needle
):
    found = []
    for length in (100, 190, 600):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            prompt = build_prompt(
                tokenizers["byte_level"], haystack, beset, context_length=length, depth=0.5
            )
        found.append((len(prompt.distractor_spans), ["no room" in str(w.message) for w in caught]))
    assert found == [(0, [True]), (2, [True]), (3, [])]


def test_places_give_way_to_the_needle_only():
    assert places_beside(0, range(0, 100, 10), 2) == [20, 70]
    assert places_beside(20, range(0, 100, 10), 2) == [10, 70]
    assert places_beside(70, range(0, 100, 10), 2) == [20, 60]
    assert places_beside(10, range(0, 40, 10), 3) == [0, 20, 30]
    assert places_beside(10, range(0, 40, 10), 0) == []


def test_a_distractor_with_the_right_answer_is_refused(needle: Needle):
    same = Distractor("The mayor's password is Teal Walrus 4817.", "Teal Walrus 4817")
    with pytest.raises(ValueError, match="distractors with answers other than the needle's"):
        Needle(needle.question, needle.text, needle.answer, distractors=(same,))
    with pytest.raises(ValueError, match="answer inside the distractor's text"):
        Distractor("It is so.", "no")
