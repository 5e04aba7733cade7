"""Entropy over contexts, profiles, and which head carries which part of the answer."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from score_cases import grid_table, make_events, make_scores, random_run
from tolerances import double_rounding

from rh_lens.analysis import answer_map, context_entropy, head_activation, score_profile
from rh_lens.detection import (
    activation_frequency,
    always_active_heads,
    position_scores,
    trial_table,
)
from rh_lens.heads import Head

NAN = float("nan")


def heads_over_trials(*columns: list[float]) -> torch.Tensor:
    """Each head's scores over the trials, in one layer."""
    return torch.tensor(columns).T[:, None, :].double()


def test_entropy_is_one_when_even_zero_when_single_and_between_otherwise():
    values = heads_over_trials([0.5] * 4, [0, 0, 1, 0], [0.5, 0.5, 0, 0], [0] * 4, [NAN] * 4)
    entropy = context_entropy(make_scores(values), grid_table(lengths=(100,)))
    assert entropy[0, :3].tolist() == pytest.approx([1.0, 0.0, 0.5])
    assert entropy[0, 3:].isnan().all()


def test_entropy_counts_only_the_contexts_that_a_head_could_see():
    values = heads_over_trials([0.75, 0.25, NAN, NAN], [1.0, NAN, NAN, NAN])
    entropy = context_entropy(make_scores(values), grid_table(lengths=(100,)))
    expected = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2)
    assert entropy[0, 0].item() == pytest.approx(expected)
    assert entropy[0, 1].isnan()


def test_contexts_may_be_needles_or_cells():
    # Trials in the order of the grid: needles a, b at depth 0, then a, b at depth 1.
    values = heads_over_trials([1, 0, 1, 0], [1, 1, 0, 0])
    scores, table = make_scores(values), grid_table(lengths=(100,))
    assert context_entropy(scores, table, by=["needle"])[0].tolist() == [0, 1]
    cells = context_entropy(scores, table, by=["context_length", "requested_depth"])
    assert cells[0].tolist() == [1, 0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_entropy_is_bounded_and_does_not_depend_on_scale_or_order(seed, n):
    values = torch.rand(n, 2, 3, generator=torch.Generator().manual_seed(seed)).double()
    table = grid_table(needles=range(n), lengths=(100,), depths=(0.0,))
    entropy = context_entropy(make_scores(values), table)
    assert ((entropy >= 0) & (entropy <= 1)).all()
    for other in (0.1 * values, values.flip(0)):
        torch.testing.assert_close(context_entropy(make_scores(other), table), entropy)


def test_activity_of_a_run_is_the_activation_frequency_of_its_events():
    trials, events = random_run(6, seed=0)
    scores = position_scores(events, trials)
    activity = head_activation(scores, trial_table(trials))
    assert torch.equal(activity.frequency, activation_frequency(events, trials))
    assert activity.always_active() == always_active_heads(events, trials)
    table = activity.to_dataframe()
    best = scores.top(1)[0]
    assert table["label"][0] == best.label
    assert table["entropy"][0] == activity.entropy[best.layer, best.head]


def test_the_levels_of_a_profile_average_to_the_activation_frequency():
    """L0H0 copies in 1 of 4 trials and can see 2 of them: 1/4, at 100 tokens as in all."""
    values = heads_over_trials([1, 0, NAN, NAN], [NAN, 1, 1, 1], [NAN] * 4)
    scores, table = make_scores(values), grid_table(lengths=(100,))
    profile = score_profile(scores, table)
    frequency = head_activation(scores, table).frequency
    assert frequency[0, :2].tolist() == profile.activation[0, 0, :2].tolist() == [0.25, 0.75]
    assert frequency[0, 2].isnan()
    assert profile.activation[0, 0, 2].isnan()
    assert scores.to_dataframe().set_index("label")["activation"]["L0H0"] == 0.25
    by_needle = score_profile(scores, table, by="needle").activation
    assert by_needle[:, 0, :2].mean(dim=0).tolist() == [0.25, 0.75]


def test_a_profile_has_the_mean_and_the_activation_of_each_level():
    # 100 tokens: trials 0-3, 200 tokens: trials 4-7.
    values = heads_over_trials([1, 0.5, 0, 0, 0.2, 0.2, 0.2, 0.2], [NAN] * 4 + [1, NAN, 0, 0])
    profile = score_profile(make_scores(values), grid_table())
    assert profile.levels == (100, 200)
    assert profile.score[:, 0, 0].tolist() == pytest.approx([0.375, 0.2])
    assert profile.activation[:, 0, 0].tolist() == [0.5, 1.0]
    assert profile.score[0, 0, 1].isnan()
    assert profile.score[1, 0, 1].item() == pytest.approx(1 / 3)
    assert profile.n_trials[:, 0].tolist() == [[4, 0], [4, 3]]
    row = profile.to_dataframe().iloc[3]
    assert (row["label"], row["context_length"], row["n_trials"]) == ("L0H1", 200, 3)
    assert profile.pivot("activation").loc["L0H0"].tolist() == [0.5, 1.0]


def test_heads_stay_in_the_order_of_layer_and_head_in_a_pivot():
    profile = score_profile(make_scores(torch.zeros(8, 11, 11)), grid_table(), by="needle")
    wide = profile.pivot()
    assert wide.index[[1, 2, 10, 11]].tolist() == ["L0H1", "L0H2", "L0H10", "L1H0"]
    assert wide.columns.tolist() == ["a", "b"]


@pytest.mark.parametrize("by", ["context_length", "requested_depth", "needle"])
def test_the_levels_average_to_the_score(by):
    values = torch.rand(8, 2, 3, generator=torch.Generator().manual_seed(1))
    scores = make_scores(values)
    profile = score_profile(scores, grid_table(), by=by)
    torch.testing.assert_close(profile.score.mean(dim=0), scores.mean())


def test_a_map_of_tokens_counts_each_copied_token_once():
    table = grid_table(lengths=(100,))  # four trials, answers of four tokens
    events = make_events([(0, 0, 0, 1, 2), (0, 3, 0, 1, 2), (1, 0, 0, 1, 2), (2, 0, 0, 0, 0)])
    found = answer_map(make_scores(torch.zeros(4, 1, 2)), events, table)
    assert found.share[0].tolist() == [[0.25, 0, 0, 0], [0, 0, 0.5, 0]]
    assert found.parts == ((0, 1), (1, 2), (2, 3), (3, 4))
    assert found.unit == "token"
    assert found.n_trials.tolist() == [4, 4, 4, 4]
    best = found.strongest()
    assert best["label"].tolist()[0] == "L0H0"
    assert best["label"].tolist()[2] == "L0H1"


def test_shorter_answers_have_no_later_tokens():
    table = grid_table(lengths=(100,), depths=(0.0,))
    table["answer_span"] = [[5, 7], [5, 8]]
    events = make_events([(0, 0, 0, 0, 1), (1, 0, 0, 0, 2)])
    found = answer_map(make_scores(torch.zeros(2, 1, 1)), events, table)
    assert found.share[0, 0].tolist() == [0, 0.5, 1.0]
    assert found.n_trials.tolist() == [2, 2, 1]


def test_parts_of_answers_of_different_lengths():
    table = grid_table(lengths=(100,), depths=(0.0,))
    table["answer_span"] = [[5, 7], [5, 10]]  # token 0 | 1, and tokens 0 1 2 | 3 4
    events = make_events([(0, 0, 0, 0, 0), (1, 0, 0, 0, 0), (1, 1, 0, 0, 4), (1, 2, 0, 0, 3)])
    found = answer_map(make_scores(torch.zeros(2, 1, 1)), events, table, n_parts=2)
    assert found.share[0, 0].tolist() == pytest.approx([(1 + 1 / 3) / 2, (0 + 1) / 2])
    assert found.parts == ((0, 0.5), (0.5, 1.0))
    assert found.unit == "share of the answer"


def test_heads_that_could_not_see_the_answer_are_left_out_of_the_map():
    values = heads_over_trials([0.0, NAN], [NAN, NAN])
    table = grid_table(lengths=(100,), depths=(0.0,), answer=1)
    found = answer_map(make_scores(values), make_events([(0, 0, 0, 0, 0)]), table)
    assert found.share[0, 0].item() == 1.0
    assert found.share[0, 1].isnan().all()


def test_a_map_of_one_part_is_the_position_score():
    trials, events = random_run(7, seed=1)
    scores, table = position_scores(events, trials), trial_table(trials)
    whole = answer_map(scores, events, table, n_parts=1)
    torch.testing.assert_close(whole.share[..., 0], scores.mean())
    by_token = answer_map(scores, events, table)
    torch.testing.assert_close(by_token.share.mean(dim=-1), scores.mean())


def loop_map(scores, events, table, n_parts: int) -> list[list[list[float]]]:
    """Share of each part that each head copied, by loops."""
    n_trials, n_layers, n_heads = scores.values.shape
    copies = set(map(tuple, events.table[["trial", "layer", "head", "answer_offset"]].to_numpy()))
    found = [[[NAN] * n_parts for _ in range(n_heads)] for _ in range(n_layers)]
    for layer in range(n_layers):
        for head in range(n_heads):
            for part in range(n_parts):
                shares = []
                for trial in range(n_trials):
                    start, stop = table["answer_span"][trial]
                    offsets = [
                        j for j in range(stop - start) if j * n_parts // (stop - start) == part
                    ]
                    if offsets and not scores.values[trial, layer, head].isnan():
                        hits = [(trial, layer, head, j) in copies for j in offsets]
                        shares.append(sum(hits) / len(hits))
                if shares:
                    found[layer][head][part] = sum(shares) / len(shares)
    return found


@pytest.mark.parametrize("n_parts", [1, 2, 3, 5])
def test_a_map_equals_loops(n_parts):
    trials, events = random_run(6, seed=2)
    table = trial_table(trials)
    # Answers of 4 to 6 tokens, of which the copies cover the first four.
    table["answer_span"] = [[10, 14 + index % 3] for index in range(6)]
    scores = position_scores(events, trials)
    found = answer_map(scores, events, table, n_parts=n_parts)
    expected = torch.tensor(loop_map(scores, events, table, n_parts), dtype=torch.float64)
    close = {"rtol": double_rounding(6), "atol": 0}
    torch.testing.assert_close(found.share, expected, equal_nan=True, **close)


def loop_entropy(values: list[float]) -> float:
    seen = [value for value in values if not math.isnan(value)]
    if len(seen) < 2 or sum(seen) == 0:
        return NAN
    shares = [value / sum(seen) for value in seen]
    return -sum(share * math.log(share) for share in shares if share) / math.log(len(seen))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.25, 1.0, NAN]), min_size=4, max_size=4))
def test_entropy_equals_a_loop(column):
    values = heads_over_trials(column)
    found = context_entropy(make_scores(values), grid_table(lengths=(100,)))
    assert found.item() == pytest.approx(loop_entropy(column), nan_ok=True)


def test_what_does_not_fit_is_refused():
    scores, table = make_scores(torch.zeros(8, 1, 1)), grid_table()
    with pytest.raises(ValueError, match=r"Expected n_parts to be .* from 1 to 1000; found 0"):
        answer_map(scores, make_events([]), table, n_parts=0)
    with pytest.raises(ValueError, match="at most 4 tokens; found an answer_offset of 4"):
        answer_map(scores, make_events([(0, 0, 0, 0, 4)]), table)
    with pytest.raises(ValueError, match=r"found .*, without \['age'\]"):
        score_profile(scores, table, by="age")
    with pytest.raises(ValueError, match="one row for each of the 8 scored trials; found 7 rows"):
        score_profile(scores, table.drop(index=3))
    with pytest.raises(ValueError, match="found 9 rows"):
        score_profile(scores, table.loc[[0, 0, *range(1, 8)]])


def test_rows_of_other_trials_are_left_out_and_order_does_not_matter():
    table = grid_table()
    scores = make_scores(torch.arange(8.0)[:, None, None])
    expected = score_profile(scores, table).score
    more = table.iloc[::-1].assign(accepted=True)
    more.loc[99] = {**more.loc[0].to_dict(), "trial": 99}
    assert torch.equal(score_profile(scores, more).score, expected)
    assert expected.flatten().tolist() == [1.5, 5.5]
    assert head_activation(scores, more).always_active() == []
    assert head_activation(make_scores(torch.ones(8, 1, 1)), more).always_active() == [Head(0, 0)]
