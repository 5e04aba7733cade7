import dataclasses

import pandas as pd
import pytest

from rh_lens.evaluation import (
    ERROR_COLUMNS,
    ERROR_TYPES,
    ErrorRules,
    classify_errors,
    error_shares,
    needle_recall,
)
from rh_lens.evaluation.prompt_parts import prompt_parts, question_start
from rh_lens.evaluation.repetition import NOWHERE
from rh_lens.heads import Head
from rh_lens.interventions import zero_ablation
from rh_lens.prompts import Needle, build_grid, synthetic_haystack
from rh_lens.runtime import Condition

COPIED = " seven crimson otters by the old"


@pytest.fixture
def place(otter_prompt, llama):
    """Position in the prompt where a text stands for the first time."""

    def find(text):
        said = llama.tokenizer.encode(text, add_special_tokens=False)
        tokens = otter_prompt.tokens.tolist()
        starts = range(len(tokens))
        return next(start for start in starts if tokens[start : start + len(said)] == said)

    return find


def types(result, **rules):
    return classify_errors(result, ErrorRules(**rules))["error"].tolist()


def test_each_way_to_fail_has_its_rule(answer):
    """The needle's answer is "a violet otter"; the haystack has "violet lantern" and "otters"."""
    result = answer(
        "",
        " ... -",
        "I don't know.",
        "I don\N{RIGHT SINGLE QUOTATION MARK}t  KNOW that.",
        "boat boat boat boat",
        "an otter",
        f"the boat counts{COPIED}",
        "a grey hat",
        "a violet otter",
    )
    assert types(result) == [
        "empty",
        "empty",
        "refusal",
        "refusal",
        "repetition",
        "incomplete",
        "wrong extraction",
        "hallucination",
    ]


def test_the_first_rule_that_holds_decides(answer):
    result = answer(
        "I don't know know know know know know know",
        "otter otter otter otter",
        f"an otter{COPIED}",
        "otter otter I said so and went on",
    )
    assert types(result) == ["refusal", "repetition", "incomplete", "incomplete"]


def test_a_word_that_says_nothing_or_is_in_the_haystack_too_proves_nothing(answer):
    """ "a" stands in the needle only but says nothing, "violet" in the haystack too."""
    result = answer("a hat", "a hat and", "old violet", "a violet hat", "the otter")
    assert types(result) == ["hallucination"] * 3 + ["incomplete"]
    assert classify_errors(result)["answer_words"].tolist() == [0, 0, 0, 1]


def test_a_run_that_is_as_long_in_the_answer_came_from_there(answer):
    """Two tokens, "viol" and "et", are in both; with " l", "ant" ... only the haystack goes on."""
    rules = {"min_copied_tokens": 2}
    table = classify_errors(answer("violet", "violet lantern"), ErrorRules(**rules))
    assert table["answer_words"].tolist() == [0, 0]
    assert table["answer_length"].tolist() == [2, 2]
    assert table["copied_length"].tolist() == [2, 6]
    assert table["error"].tolist() == ["incomplete", "wrong extraction"]


def test_where_a_wrong_extraction_was_copied_from(answer, place, otter_prompt, llama):
    (row,) = classify_errors(answer(f"boat{COPIED}")).to_dict("records")
    n_copied = len(llama.tokenizer.encode(COPIED, add_special_tokens=False))
    assert row["error"] == "wrong extraction"
    assert row["copied_from"] == place(COPIED)
    assert row["copied_length"] == n_copied
    assert row["copied_step"] == row["n_tokens"] - n_copied
    assert row["copied_text"] == COPIED
    n_haystack = (prompt_parts(otter_prompt, llama.tokenizer).haystack != NOWHERE).sum()
    assert place(COPIED) < otter_prompt.needle_span[0]
    assert row["copied_depth"] == pytest.approx(place(COPIED) / n_haystack)


def test_thresholds_are_the_callers(answer):
    result = answer(f"it was{COPIED}", "boat boat boat boat of an old man")
    assert types(result) == ["wrong extraction", "hallucination"]
    runs_only = {"whole_answers": False}
    assert types(result, min_copied=0.9, **runs_only) == ["hallucination"] * 2
    assert types(result, min_copied_tokens=99, **runs_only) == ["hallucination"] * 2
    assert types(result, min_repeated=0.2) == ["wrong extraction", "repetition"]
    assert types(result, refusals=("it was",)) == ["refusal", "hallucination"]


def test_the_haystack_ends_where_the_question_begins(otter_prompt, llama):
    """The haystack asks the same question in other letters; the last one counts."""
    start = question_start(otter_prompt, llama.tokenizer)
    text = llama.tokenizer.decode(otter_prompt.tokens[start:])
    assert text.strip() == "What is the secret word?\nAnswer:"
    parts = prompt_parts(otter_prompt, llama.tokenizer)
    first, last = otter_prompt.needle_span
    assert (parts.haystack[first:last] == NOWHERE).all()
    assert (parts.haystack[start:] == NOWHERE).all()
    kept = [*range(first), *range(last, start)]
    assert parts.haystack[kept].tolist() == otter_prompt.tokens[kept].tolist()
    assert parts.answer_words == ("a", "violet", "otter")
    assert parts.other_words[-7:] == ("question", "what", "is", "the", "secret", "word", "answer")


def test_a_question_that_is_not_in_the_prompt_cuts_nothing_off(otter_prompt, llama):
    other = dataclasses.replace(otter_prompt, needle=Needle("Why?", "It is so.", "so"))
    assert question_start(other, llama.tokenizer) == len(otter_prompt.tokens)


def test_what_the_heads_did_meanwhile(answer, otter_prompt, place):
    """Two heads, L1H1 and L2H3, over the steps of three failed answers and one without steps."""
    start, copied = otter_prompt.answer_span[0], place(" seven")
    looks = [
        {(1, 1): [copied, copied + 1], (2, 3): [copied, copied + 1]},  # says what it looks at
        {(1, 1): [start, start], (2, 3): [copied, 0]},  # a quarter of the rows is a real copy
        {},  # all on the first token
        {},
    ]
    result = answer(" seven", " seven", " seven", "", looks=looks, heads=[Head(1, 1), Head(2, 3)])
    table = classify_errors(result)
    assert table["n_tokens"].tolist() == [2, 2, 2, 0]
    assert table["active_elsewhere"].tolist()[:3] == [1.0, 0.25, 0.0]
    assert table["active_on_needle"].tolist()[:3] == [0.0, 0.5, 0.0]
    assert table["sink_mass"].tolist()[:3] == [0.25, 0.4375, 1.0]
    assert table.loc[3, ["active_elsewhere", "active_on_needle", "sink_mass"]].isna().all()
    assert table["active_on_wrong_place"].tolist() == [True, False, False, False]
    assert table["partly_active"].tolist() == [False, False, False, False]
    assert table["attended_sink"].tolist() == [False, False, True, False]
    other = classify_errors(result, min_active=0.6, min_sink=0.4)
    assert other["partly_active"].tolist() == [False, True, False, False]
    assert other["attended_sink"].tolist() == [False, True, True, False]


def test_looking_at_a_token_said_before_is_no_copy_from_the_prompt(answer, otter_prompt):
    """Step 1 says what step 0 said, and its head looks there, one place behind the prompt."""
    look = {(2, 3): [0, len(otter_prompt.tokens)]}
    table = classify_errors(answer("ZZ", looks=[look], heads=[Head(2, 3)]))
    assert table["active_elsewhere"].tolist() == [0.0]


def test_columns_with_and_without_failures(answer):
    right = answer("a violet otter")
    errors = classify_errors(right)
    assert tuple(errors.columns) == ERROR_COLUMNS
    assert len(errors) == 0
    assert errors.dtypes.equals(classify_errors(answer("a hat", "")).dtypes)
    shares = error_shares(errors, right)
    assert shares["retrieved"].tolist() == [1.0]
    assert (shares[list(ERROR_TYPES)] == 0).all(axis=None)
    watched = classify_errors(answer("a violet otter", heads=[Head(0, 0)]))
    assert len(watched) == 0
    assert "attended_sink" in watched.columns


def test_shares_are_of_all_answers_of_a_condition(answer):
    result = answer("a violet otter", "", "an otter", "a hat")
    both = dataclasses.replace(
        result,
        answers=pd.concat([result.answers, result.answers.head(1).assign(condition="other")]),
    )
    shares = error_shares(classify_errors(result), both)
    assert shares.columns.tolist() == ["condition", "n", "retrieved", *ERROR_TYPES]
    assert shares.to_numpy().tolist() == [
        ["plain", 4, 0.25, 0.25, 0.0, 0.0, 0.25, 0.0, 0.25],
        ["other", 1, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ]


def test_the_bundled_model_says_what_is_in_neither_without_its_retrieval_heads(demo_model):
    """8 failed answers: none from the needle, none from the haystack."""
    prompts = build_grid(
        demo_model.tokenizer,
        synthetic_haystack(),
        [
            Needle(
                "What is the emblem of Brint?", "The emblem of Brint is a tin goose.", "a tin goose"
            )
        ],
        context_lengths=[128, 192],
        depths=[0.0, 0.3, 0.6, 0.9],
    )
    silenced = Condition(zero_ablation(Head(2, head) for head in (2, 3, 4, 5)), "decode")
    result = needle_recall(demo_model, prompts, {"silenced": silenced}, progress=False)
    (row,) = error_shares(classify_errors(result), result).to_dict("records")
    assert row["n"] == 8
    assert row["repetition"] + row["hallucination"] == 1.0
