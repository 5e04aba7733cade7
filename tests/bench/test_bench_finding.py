"""The cost of a whole finding: what is asked, when a finding is the same, and its rows."""

import pytest
import torch

from rh_lens.bench import (
    Agreement,
    FindingRow,
    TimedRows,
    agreement,
    bench_prompts,
    benchmark_finding,
    finding,
    finding_table,
    packed_bench_prompts,
    read_timed_rows,
    write_timed_rows,
)
from rh_lens.bench import models as bench_models_file
from rh_lens.detection import RetrievalScores
from rh_lens.runtime.context import shared_prefix

CPU = torch.device("cpu")


def scores(*heads):
    """One trial of a model of one layer."""
    return RetrievalScores(torch.tensor([[heads]], dtype=torch.float64), "position", (0,))


FULL = scores(0.9, 0.5, 0.0, 0.0, 0.05)


@pytest.mark.parametrize(
    ("found", "correlation", "heads", "same"),
    [
        (FULL, 1.0, "2 of 2", True),
        (scores(0.89, 0.51, 0.01, 0.0, 0.05), 0.99984, "2 of 2", True),
        # The same heads, but other scores.
        (scores(0.9, 0.45, 0.0, 0.05, 0.0), 0.99458, "2 of 2", False),
        # One head more at the threshold, and another one.
        (scores(0.9, 0.5, 0.0, 0.0, 0.1), 0.99857, "2 of 2, 1 other", False),
        (scores(0.9, 0.0, 0.0, 0.0, 0.5), 0.65509, "1 of 2, 1 other", False),
        (scores(0.3, 0.3, 0.3, 0.3, 0.3), None, "2 of 2, 3 other", False),
        (None, None, "0 of 2", False),
    ],
)
def test_a_finding_is_the_same_with_the_same_heads_and_scores(found, correlation, heads, same):
    got = agreement(FULL, found)
    assert got.correlation == (correlation and pytest.approx(correlation, abs=5e-6))
    assert (got.heads, got.same) == (heads, same)


def test_one_head_at_the_threshold_more_or_less_is_another_finding():
    """Pearson 0.9998 in both directions: the heads alone decide."""
    near, at = scores(0.9, 0.5, 0.0, 0.09), scores(0.9, 0.5, 0.0, 0.1)
    for full, found, heads in ((near, at, "2 of 2, 1 other"), (at, near, "2 of 3")):
        got = agreement(full, found)
        assert got.correlation > 0.9998
        assert (got.heads, got.same) == (heads, False)


@pytest.mark.parametrize(
    ("holds", "after"),
    [([1, 1, 1], 1), ([0, 1, 1], 2), ([1, 1, 0, 1, 1], 4), ([0, 0, 1], 3), ([1, 1, 0], 3)],
)
def test_enough_is_where_the_finding_came_to_stay_not_where_it_came_first(holds, after):
    assert finding.first_to_stay([bool(one) for one in holds]) == after


def test_the_sample_has_a_prompt_of_each_part_of_the_grid():
    sample = finding.sample_of(range(600))
    assert [index // 20 for index in sample] == list(range(30))
    assert len({index % 20 for index in sample}) > 10
    assert finding.sample_of(range(7)) == list(range(7))


def test_the_full_grid_has_600_prompts_and_packed_ones_twelve_needles(monkeypatch):
    monkeypatch.setattr(finding, "bundled", lambda device: None)
    monkeypatch.setattr(finding, "cost_of_finding", lambda *asked: [*asked[2:4]])
    ((full, packed),) = benchmark_finding(CPU, quick=True)
    assert len(full) == 600
    assert len({prompt.context_length for prompt in full}) == 20
    assert (full[0].context_length, full[-1].context_length) == (256, 1024)
    assert [len({prompt.needle.name for prompt in full}), len(packed)] == [3, 144]
    assert {len(prompt.companions) for prompt in packed} == {11}


def test_each_way_is_charged_for_what_it_read_beside_generate():
    """Four prompts of one needle, and two turns of two needles, of 128 tokens."""
    bench = bench_models_file.bundled(CPU)
    full, packed = bench_prompts(128)[:4], packed_bench_prompts(128)
    plain, one, stopped, enough = finding.cost_of_finding("bundled", bench, full, packed, CPU)
    assert (plain.n_prompts, plain.n_timed, plain.n_read, plain.ratio) == (4, 4, 4 * 128, 1.0)
    assert plain.agreement is None
    assert one.n_prompts == 4
    assert one.agreement.same
    assert one.agreement.correlation == pytest.approx(1.0)
    assert 128 < one.n_read < 4 * 128
    assert stopped.n_prompts == 4
    n_apart = sum(len(prompt.tokens) for prompt in packed)
    pairs = [(packed[turn].tokens.tolist(), packed[turn + 1].tokens.tolist()) for turn in (0, 2)]
    n_shared = sum(shared_prefix(*pair) for pair in pairs)
    assert stopped.n_read == n_apart - n_shared
    assert enough.n_prompts in (2, 4)
    assert enough.seconds < stopped.seconds
    for row in (plain, one, stopped, enough):
        assert row.ratio == pytest.approx(row.seconds / plain.seconds)


ROWS = [
    FindingRow("bundled", "generate", 600, 30, 681600, 120.0, 1.0, None),
    FindingRow("bundled", "packed, enough", 12, 12, 1250, 0.5, 0.5 / 120, Agreement(0.9, 4, 3, 4)),
    FindingRow("bundled", "packed, enough", 12, 12, 1250, 0.5, 1 / 240, Agreement(None, 0, 0, 4)),
]


def test_the_table_says_what_was_not_reached_and_what_was_scaled():
    table = finding_table(ROWS)
    assert table["same finding"].tolist() == ["", "NO", "NO"]
    assert table["heads"].tolist() == ["", "3 of 4, 1 other", "0 of 4"]
    assert table["timed"].tolist() == [30, 12, 12]
    assert table["time / generate"].tolist() == [1.0, 0.0042, 0.0042]


def test_rows_come_back_from_their_file(tmp_path):
    write_timed_rows(tmp_path / "times.json", {"machine": "here"}, [], finding=ROWS)
    timed = read_timed_rows(tmp_path / "times.json", {"machine": "here"})
    assert timed == TimedRows(finding=tuple(ROWS))
