"""Answers of several lines, by the bundled model."""

import pytest

from rh_lens.cli import options
from rh_lens.detection import detect_retrieval_heads
from rh_lens.evaluation import needle_recall
from rh_lens.prompts import Needle, build_grid, synthetic_haystack
from rh_lens.runtime import stop_for_needles, stop_rule

LINES = Needle(
    "What is the motto of Velnor?",
    "The motto of Velnor is ask the heron now\nand bow.",
    "ask the heron now\nand bow",
)
LINE = Needle("What is the motto of Velnor?", "The motto of Velnor is ask the heron.", "the heron")


@pytest.fixture(scope="module")
def model():
    from rh_lens.demo import load_demo_model

    return load_demo_model()


@pytest.fixture(scope="module")
def prompts(model):
    haystack = synthetic_haystack(n_sentences=200)
    return build_grid(model.tokenizer, haystack, [LINES], context_lengths=[256], depths=[0.2, 0.8])


def test_a_newline_ends_answers_unless_one_holds_a_newline(model):
    assert stop_for_needles(model, [LINE]).strings == ("\n",)
    assert stop_for_needles(model, [LINE, LINES]).strings == ()
    other = Needle(LINE.question, LINE.text, LINE.answer, ("the\nheron",))
    assert stop_for_needles(model, [other]).strings == ()


def test_a_head_that_copies_both_lines_scores_one(model, prompts):
    """It was 0.60, and the answer was accepted all the same."""
    result = detect_retrieval_heads(model, prompts, progress=False)
    assert {trial.text for trial in result.trials} == {" ask the heron now\nand bow."}
    assert result.scores.mean().max() == 1.0
    cut = stop_rule(model.tokenizer)
    first = detect_retrieval_heads(model, prompts, progress=False, stop=cut)
    assert first.scores.mean().max() == pytest.approx(0.6, abs=0.05)


def test_recall_is_of_both_lines_too(model, prompts):
    result = needle_recall(model, prompts, progress=False)
    assert result.answers["exact"].all()


@pytest.mark.parametrize(
    ("typed", "meant"), [(r"\n", "\n"), (r"\n\nQ:", "\n\nQ:"), (r"a\\n", r"a\n"), ("END", "END")]
)
def test_escapes_of_the_command_line(typed, meant):
    assert options.stop_text(typed) == meant
