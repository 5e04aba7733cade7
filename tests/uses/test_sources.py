"""Answers with their sources: what is a source, and what the bundled model's answers cite."""

import pandas as pd
import pytest
import torch

from rh_lens.demo import load_demo_model
from rh_lens.demo.tasks import reading_items
from rh_lens.detection import AttentionSources
from rh_lens.evaluation.tasks import TaskItem
from rh_lens.heads import Head
from rh_lens.prompts import evaluation_needles, synthetic_haystack
from rh_lens.runtime import greedy_decode, stop_rule
from rh_lens.uses import (
    QUESTION_KINDS,
    ask_document,
    citation_cases,
    citation_quality,
    cite,
    question_cases,
)
from rh_lens.uses.citation_quality import mean_attention
from rh_lens.uses.cited_answer import cited_answer
from rh_lens.uses.copied_tokens import answer_pieces, copy_votes

HEADS = ["L2H2", "L2H3", "L2H4", "L2H5"]
HAYSTACK = synthetic_haystack(seed=3, n_sentences=60)
CAT = "What do the Orrin sisters call the cat?"
DOCUMENT = "It rained. The Orrin sisters call the cat Baron Turnip. Nobody came."


@pytest.fixture(scope="module")
def model():
    return load_demo_model()


def looks(*rows: list[int]) -> AttentionSources:
    """Rows of a layer's heads, by the positions that they attend to most."""
    source = torch.tensor(rows)[:, None]
    ones = torch.ones(source.shape)
    return AttentionSources(
        layers=(3,),
        n_layers=5,
        query_position=torch.arange(len(rows)) + 9,
        source=source,
        weight=ones,
        margin=ones,
        needle_mass=None,
        sink_mass=ones,
        first_visible=torch.zeros(len(rows), 1, dtype=torch.long),
    )


PROMPT = ["<s>", "the", " red", " fox", " Red", " fox", " ran", "?"]


def votes(sources: AttentionSources, said: list[str], weights=(1.0, 1.0, 2.0)):
    heads = [Head(3, index) for index in range(3)]
    return copy_votes(sources, heads, weights, PROMPT, said, (1, 7))


def test_the_position_with_most_weight_is_the_source() -> None:
    assert votes(looks([2, 2, 4]), ["red"], (1.0, 1.5, 2.0)) == [(2, 2.5 / 4.5)]
    assert votes(looks([2, 2, 4]), ["red"], (1.0, 1.0, 3.0)) == [(4, 3 / 5)]


def test_a_tie_goes_to_the_place_behind_the_last_source() -> None:
    found = votes(looks([4, 4, 4], [3, 3, 5]), ["RED", " fox"])
    assert found == [(4, 1.0), (5, 0.5)]


def test_only_the_token_that_is_said_is_copied_and_only_from_the_document() -> None:
    """Another token; the question; a mark that is not there; white space."""
    found = votes(looks([3, 3, 3], [7, 7, 7], [0, 0, 0], [2, 2, 2]), ["red", "?", "<s>", " "])
    assert found == [(None, 0.0)] * 4


def answer_of(model, text: str, positions: list[int | None], document: str):
    asked = ask_document(model.tokenizer, document, CAT)
    said = model.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids[0]
    pieces = answer_pieces(model.tokenizer, said)
    begin = asked.span[0]
    found = [(None, 0.0) if at is None else (begin + at, 1.0) for at in positions]
    return cited_answer(asked, text, pieces, found, (Head(2, 2),), 0.25)


def test_one_wrong_digit_leaves_a_number_without_support(model) -> None:
    tokens = model.tokenizer("They paid 4821 coins.", add_special_tokens=False).input_ids
    texts = [model.tokenizer.decode([one]) for one in tokens]
    copied: list[int | None] = list(range(len(tokens)))
    answer = answer_of(model, "They paid 4821 coins.", copied, "They paid 4821 coins.")
    assert answer.parts()["supported"].tolist() == [True, True]
    assert answer.parts()["sources"].tolist() == [((0, 20),), ((10, 14),)]
    digit = next(place for place, text in enumerate(texts) if text.strip().isdigit())
    copied[digit] = None
    answer = answer_of(model, "They paid 4821 coins.", copied, "They paid 4821 coins.")
    assert answer.parts()["supported"].tolist() == [True, False]
    assert not answer.unsupported


def test_sources_that_touch_are_one_span_and_others_are_not(model) -> None:
    n = len(model.tokenizer(DOCUMENT, add_special_tokens=False).input_ids)
    said = DOCUMENT
    near = [0, *range(3, n)] if n > 3 else []
    copied = [at if at in near else None for at in range(n)]
    assert len(answer_of(model, said, copied, DOCUMENT).spans) == 1
    copied = [at if at < 1 or at > 4 else None for at in range(n)]
    assert len(answer_of(model, said, copied, DOCUMENT).spans) == 2


def test_tokens_know_their_characters(model, tiny_tokenizer) -> None:
    document = "  Ünder the\nblue mat, 3 keys. "
    for tokenizer in (model.tokenizer, tiny_tokenizer):
        asked = ask_document(tokenizer, document, "Where?")
        first, last = asked.span[0], asked.span[1] - 1
        start, stop = asked.characters(first, last)
        assert document[start:stop] == document.strip()
        assert "blue mat" in tokenizer.decode(asked.prompt.tokens[slice(*asked.span)])


def test_the_bundled_model_cites_the_needle_and_says_what_it_says_anyway(model) -> None:
    answer = cite(model, DOCUMENT, CAT, heads=HEADS)
    (span,) = answer.spans
    assert span.text == DOCUMENT[span.start : span.stop] == "Baron Turnip"
    assert (span.start, answer.support, answer.unsupported) == (42, 0.875, False)
    tokens = ask_document(model.tokenizer, DOCUMENT, CAT).prompt.tokens
    plain = greedy_decode(model, tokens, stop=stop_rule(model.tokenizer))
    assert answer.text == plain.text
    assert answer.tokens["token_id"].to_list() == plain.tokens.tolist()


def test_without_the_needle_the_answer_is_flagged(model) -> None:
    prose = " ".join(HAYSTACK.documents)[:400]
    answer = cite(model, prose, CAT, heads=HEADS)
    assert answer.unsupported
    assert "unsupported" in repr(answer)


def test_other_heads_know_no_source(model) -> None:
    answer = cite(model, DOCUMENT, CAT, heads=["L0H0", "L3H1"])
    assert "Baron Turnip" in answer.text
    assert answer.unsupported


@torch.no_grad()
def test_mean_attention_is_that_of_one_whole_pass(model) -> None:
    prompt = torch.arange(5, 35)
    patterns = []
    hooks = [
        (f"blocks.{layer}.attn.hook_pattern", lambda pattern, hook: patterns.append(pattern[0]))
        for layer in range(4)
    ]
    with model.hooks(fwd_hooks=hooks):
        model(prompt[None])
    found = mean_attention(model, prompt[:27], prompt[27:])
    expected = torch.stack(patterns).mean(dim=(0, 1))[26:29, :27]
    torch.testing.assert_close(found, expected)


def test_cases_hold_what_they_say() -> None:
    needles = evaluation_needles()[:3]
    cases = {(c.kind, c.needle.name): c for c in citation_cases(HAYSTACK, needles)}
    assert len(cases) == 18
    for needle in needles:
        for kind, n in (("plain", 1), ("contradiction", 1), ("echo", 2)):
            case = cases[kind, needle.name]
            assert case.document.count(needle.answer) == n
            assert case.document[slice(*case.answer_span)] == needle.answer
            assert case.document[: case.answer_span[1]].endswith(
                needle.text[: needle.answer_characters[1]]
            )
        for kind in ("unanswerable", "near miss"):
            assert needle.answer not in cases[kind, needle.name].document
        assert needle.distractors[0].text in cases["near miss", needle.name].document


def test_heads_know_which_of_two_equal_texts_was_read(model) -> None:
    """A search for the words takes the first place, which is wrong in one echo of two."""
    needles = evaluation_needles()[:2]
    cases = [
        case for case in citation_cases(HAYSTACK, needles, n_characters=300) if case.kind == "echo"
    ]
    found = citation_quality(model, cases, HEADS, progress=False)
    table = found.summary().set_index("method")
    assert table.loc["retrieval heads", "precision"] > 0.9
    assert table.loc["retrieval heads", "recall"] == 1
    firsts = [case.document.index(case.needle.answer) == case.answer_span[0] for case in cases]
    expected = pd.Series(firsts).mean()
    assert table.loc["same words", "precision"] == expected
    assert table["n"].tolist() == [2, 2, 2]


def test_questions_become_cases_with_and_without_their_answer() -> None:
    items = reading_items(2, n_facts=2)[::2]
    whole, without, *_ = question_cases(items)
    start, stop = whole.answer_span
    assert whole.document[start:stop] == items[0].answers[0] == whole.needle.answer
    assert (whole.kind, without.kind) == QUESTION_KINDS
    assert items[0].answers[0] not in without.document
    assert whole.needle.text in whole.document
    assert len(without.document) == len(whole.document) - len(whole.needle.text) - 1
    assert without.needle is whole.needle
    assert without.answer_span is None


def test_questions_without_a_place_for_the_answer_are_left_out() -> None:
    context = "An otter swims. It rained."
    items = [
        TaskItem("a", "Who?", ("a heron",), context),
        TaskItem("b", "Who?", ("an otter",), "An otter swims."),
        TaskItem("c", "Who?", ("an otter",), context),
    ]
    found = question_cases(items)
    assert [case.document for case in found] == [context, "It rained."]
    with pytest.raises(ValueError, match="beside other sentences; found none of 2"):
        question_cases(items[:2])
