"""Every figure draws the numbers of its result, and refuses what is none."""

import numpy as np
import pandas as pd
import pytest
import torch
from score_cases import grid_table, make_events, make_scores, one_trial
from torch.testing import assert_close

from rh_lens.analysis import (
    AnswerMap,
    answer_map,
    compare_scores,
    score_intervals,
    score_profile,
)
from rh_lens.evaluation import RecallResult
from rh_lens.views import (
    plot_answer_map,
    plot_needle_grid,
    plot_score_pair,
    plot_score_profile,
    plot_similarities,
    plot_sorted_scores,
)

NAN = float("nan")


@pytest.fixture
def recall():
    """Two conditions, two lengths, two depths, two needles; one cell was not asked."""
    rows = [
        {"condition": condition, "context_length": length, "requested_depth": depth,
         "depth": depth + 0.01 * length / 100, "recall": value, "exact": value == 1,
         "needle": "<script>$x"}
        for condition, scale in (("none", 1.0), ("top-4", 0.0))
        for length, depth, value in [(100, 0.0, scale), (100, 0.5, scale), (200, 0.0, scale / 2),
                                     (200, 0.0, scale)]
    ]  # fmt: skip
    return RecallResult(pd.DataFrame(rows), {}, (), None)


def image_of(figure) -> np.ndarray:
    (image,) = figure.axes[0].images
    return np.ma.filled(np.ma.asarray(image.get_array(), dtype=float), np.nan)


def test_the_grid_has_depths_down_and_lengths_across(recall):
    figure = plot_needle_grid(recall)
    assert_close(image_of(figure), np.array([[1.0, 0.75], [1.0, NAN]]), equal_nan=True)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "200"]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["0.00 (0.01-0.02)", "0.50 (0.51)"]
    assert [text.get_text() for text in axes.texts] == ["1", "0.75", "1"]
    assert image_of(plot_needle_grid(recall, condition="top-4"))[0, 0] == 0
    assert image_of(plot_needle_grid(recall, metric="exact"))[0, 1] == 0.5


def test_the_grid_of_a_detection_run_is_the_share_accepted(run):
    result = run()
    assert image_of(plot_needle_grid(result)).tolist() == [[0.5]]
    with pytest.raises(ValueError, match="neither condition nor metric"):
        plot_needle_grid(result, metric="recall")
    with pytest.raises(TypeError, match="result"):
        plot_needle_grid(result.scores)


@pytest.fixture
def answers() -> AnswerMap:
    """One trial, answer of 4 tokens: L0H1 copied all, L1H0 the last; L1H1 saw nothing."""
    scores = one_trial([[0.0, 1.0], [0.25, NAN]])
    events = make_events([*((0, t, 0, 1, t) for t in range(4)), (0, 3, 1, 0, 3)])
    return answer_map(scores, events, grid_table(("a",), (100,), (0.0,)))


def test_the_answer_map_has_heads_down_and_tokens_across(answers):
    figure = plot_answer_map(answers)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["L0H1", "L1H0", "L0H0"]
    assert image_of(figure).tolist() == [[1, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert ticks == ["0\n1", "1\n1", "2\n1", "3\n1"]
    chosen = plot_answer_map(answers, heads="L1H1")
    assert np.isnan(image_of(chosen)).all()
    with pytest.raises(ValueError, match="L5H0"):
        plot_answer_map(answers, heads=["L5H0"])


def test_profiles_stand_side_by_side_with_a_line_for_each_head():
    values = torch.arange(8.0).reshape(8, 1, 1) / 10 * torch.tensor([[1.0, 0.5]])
    scores, trials = make_scores(values), grid_table()
    profiles = [score_profile(scores, trials, by=by) for by in ("context_length", "needle")]
    first, second = plot_score_profile(*profiles, k=2).axes
    line, other = first.get_lines()
    assert (line.get_label(), other.get_label()) == ("L0H0", "L0H1")
    assert_close(line.get_ydata(), profiles[0].score[:, 0, 0].numpy())
    assert_close(second.get_lines()[1].get_ydata(), profiles[1].score[:, 0, 1].numpy())
    assert [label.get_text() for label in second.get_xticklabels()] == ["a", "b"]
    with pytest.raises(ValueError, match="L0H2"):
        plot_score_profile(profiles[0], heads="L0H2")


def test_sorted_scores_begin_with_the_best_and_leave_out_heads_without_one():
    scores = one_trial([[0.05, NAN, 0.8], [0.0, 0.3, 0.1]])
    axes = plot_sorted_scores(scores).axes[0]
    line = axes.get_lines()[0]
    assert line.get_xdata().tolist() == [1, 2, 3, 4, 5]
    assert line.get_ydata().tolist() == [0.8, 0.3, 0.1, 0.05, 0.0]
    assert axes.texts[0].get_text() == "0.1: 3 of 5 heads reach it"
    assert not axes.collections


def test_the_band_of_sorted_scores_is_each_heads_interval():
    values = torch.rand(8, 1, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = score_intervals(make_scores(values), grid_table())
    (band,) = plot_sorted_scores(found).axes[0].collections
    ends = band.get_paths()[0].vertices[:, 1]
    assert_close(ends.max(), float(found.high.max()))
    assert_close(ends.min(), float(found.low.min()))


@pytest.fixture
def models():
    first = torch.rand(3, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return {"base$_{x}$": one_trial(first), "tuned": one_trial(first.square())}


def test_two_models_give_a_point_for_each_head(models):
    comparison = compare_scores(models, n_permutations=20)
    axes = plot_score_pair(models, comparison=comparison).axes[0]
    points = [line for line in axes.get_lines() if line.get_marker() == "o"]
    x, y = (scores.mean().flatten() for scores in models.values())
    drawn = {(a, b) for line in points for a, b in zip(*line.get_data(), strict=True)}
    assert drawn == set(zip(x.tolist(), y.tolist(), strict=True))
    assert len(points[2].get_xdata()) == int(((x >= 0.1) & (y >= 0.1)).sum())
    found = comparison.pairs[0]["pearson"].value
    assert axes.get_title(loc="left").startswith(f"Pearson {found:.2f}; 95 % of permutations")
    axes.figure.savefig("/dev/null", format="png", dpi=30)
    with pytest.raises(ValueError, match="two models of equal shape"):
        plot_score_pair({"a": models["tuned"], "b": one_trial([[0.0]])})


def test_many_models_give_a_matrix_with_chance_below_it(models):
    models["other shape"] = one_trial([[0.1, 0.9]])
    comparison = compare_scores(models, n_permutations=20)
    figure = plot_similarities(comparison, "spearman")
    found = comparison.pairs[0]["spearman"]
    values = image_of(figure)
    assert values[0, 1] == found.value
    assert np.isnan(values).sum() == 8
    texts = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert texts[(1, 0)] == f"{found.value:.2f}"
    assert texts[(0, 1)] == f"{found.null[0]:.2f}\nto {found.null[1]:.2f}"
    assert texts[(2, 0)] == "profiles\nonly"
    with pytest.raises(ValueError, match="statistic"):
        plot_similarities(comparison, "kendall")
