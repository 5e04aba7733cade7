"""Comparisons as text."""

import torch

from rh_lens.analysis import compare_scores
from rh_lens.detection import RetrievalScores
from rh_lens.views import summarise


def scores(means: list[list[float]]) -> RetrievalScores:
    return RetrievalScores(torch.tensor(means)[None].double(), "position", (0,))


RESULTS = {
    "one": scores([[0.9, 0.0], [0.3, 0.0]]),
    "two": scores([[0.8, 0.0], [0.0, 0.05]]),
    "wide": scores([[0.1] * 12]),
}


def test_each_result_has_a_line_with_its_heads():
    header, one, two, wide = summarise(RESULTS, threshold=0.1).splitlines()
    assert header.split() == "score samples layers x heads >= 0.1 best first".split()
    assert one.split() == ["one", "position", "1", "2", "x", "2", "2", "L0H0", "L1H0"]
    assert two.split()[-2:] == ["1", "L0H0"]
    assert " ".join(wide.split()).endswith("x 12 12 L0H0 L0H1 L0H2 L0H3 and 8 more")


def test_each_pair_has_a_line_with_its_values_beside_chance():
    comparison = compare_scores(RESULTS, k=2, n_permutations=50)
    text = summarise(comparison)
    pair = comparison.pair("one", "two")
    found = pair["pearson"]
    ends = f"[{found.null[0]:.2f}, {found.null[1]:.2f}]"
    assert f"one two {found.value:.2f} {ends} p {found.p:.2g}" in text
    assert f"{pair.n_arrangements:.2g}, 4 {found.smallest_p:.2g}" in " ".join(text.split())
    assert "top-2 Jaccard" in text
    assert "in brackets the middle 95 % when permuted" in text
    assert text.count("profiles only: 2 x 2 against 1 x 12") == 2
    assert f"{pair.sorted_score_distance:.3f}" in text


def test_where_no_pair_has_one_shape_there_are_profiles_only():
    results = {name: RESULTS[name] for name in ("one", "wide")}
    text = summarise(compare_scores(results, n_permutations=5))
    assert text.startswith("Profiles")
    assert "permuted" not in text
