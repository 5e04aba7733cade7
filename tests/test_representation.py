"""Results in a session: a line each, however much they hold."""

from dataclasses import dataclass

import pandas as pd
import pytest
import torch

from rh_lens import (
    ablation_curve,
    audit_scores,
    build_grid,
    compare_scores,
    default_needles,
    detect_retrieval_heads,
    load_demo_model,
    measure_sparsity,
    synthetic_haystack,
)
from rh_lens.analysis import answer_map, split_half, threshold_sensitivity
from rh_lens.detection import trial_table
from rh_lens.interventions import head_outputs
from rh_lens.representation import brief, cut, html_table, short_repr


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    """One of each kind of object that a session shows, from six prompts."""
    model, haystack = load_demo_model(), synthetic_haystack()
    prompts = build_grid(
        model.tokenizer, haystack, default_needles()[:3], context_lengths=[128], depths=2
    )
    result = detect_retrieval_heads(model, prompts, progress=False)
    scores, trials = result.scores, trial_table(result.accepted)
    curve = ablation_curve(
        model, prompts[:2], scores.ranking(), ks=[4], n_controls=1, n_rankings=1, progress=False
    )
    return {
        "result": result,
        "scores": scores,
        "events": result.events,
        "trial": result.trials[0],
        "prompt": prompts[0],
        "haystack": haystack,
        "curve": curve,
        "recall": curve.recall,
        "plan": curve.plan,
        "condition": curve.conditions["top-4"],
        "map": answer_map(scores, result.events, trials),
        "sparsity": measure_sparsity(scores),
        "sensitivity": threshold_sensitivity(scores),
        "halves": split_half(scores, trials),
        "outputs": head_outputs(model, prompts[0]),
        "comparison": compare_scores({"a": scores, "b": scores}),
        "audit": audit_scores(scores),
    }


def test_everything_shows_itself_in_a_line(results):
    for name, shown in results.items():
        text = repr(shown)
        assert len(text) < 400, name
        assert "\n" not in text, name
        assert text.startswith(type(shown).__name__), name


def test_tables_are_short_and_escaped(results):
    for name in ("result", "scores", "events", "curve", "recall"):
        html = results[name]._repr_html_()
        assert 200 < len(html) < 20_000, name
        assert "<table" in html, name


def test_a_result_says_what_how_many_and_which_heads(results):
    text, n_heads = repr(results["result"]), len(results["result"].heads())
    assert f"6 of 6 prompts accepted, {n_heads} heads of 0.1 or more" in text
    best = results["result"].top(1)[0].label
    assert f"6 trials, 4 layers of 8 heads; best {best} " in text
    assert "128 tokens of synthetic-seed0" in repr(results["prompt"])
    assert "2 prompts; mean recall with the top K silenced: 0: 1.00, 4: 0." in repr(
        results["curve"]
    )


def test_fields_show_how_much_they_hold():
    @dataclass
    class Sample:
        values: object

        __repr__ = short_repr

    assert repr(Sample(torch.zeros(2, 3))) == "Sample(values=float32[2, 3])"
    assert repr(Sample(pd.DataFrame({"a": [1, 2]}))) == "Sample(values=2 rows x 1 columns)"
    assert repr(Sample(tuple(range(9)))) == "Sample(values=9 int)"
    assert repr(Sample({"a": 1})) == "Sample(values={'a': 1})"
    assert repr(Sample([])) == "Sample(values=[])"
    assert repr(Sample(Sample(1))) == "Sample(values=Sample(values=1))"
    assert brief({"a": torch.zeros(1)}) == "1 Tensor"
    assert len(brief("x" * 1000)) == 59
    assert cut("a\n b") == "a b"


def test_html_names_what_it_leaves_out_and_escapes():
    table = pd.DataFrame({"text": ["<script>"] * 12})
    html = html_table(table, "<b>", n_rows=10)
    assert "... and 2 more rows" in html
    assert "<script>" not in html
    assert "<b>" not in html
