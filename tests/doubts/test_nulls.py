"""Nulls of recorded answers: planted heads are found, and chance is called chance."""

import pytest
import torch
from made_rows import LENGTH, N_PROMPT, OTHER, START, copying, made_rows, random_looks
from score_cases import make_scores

from rh_lens.doubts import (
    HeadNull,
    permuted_answers,
    random_spans,
    shuffled_labels,
    shuffled_steps,
    with_nulls,
    with_other_needles,
)
from rh_lens.heads import Head
from rh_lens.prompts import evaluation_needles

NULLS = (permuted_answers, random_spans, shuffled_steps)
NAMES = "abcdefgh"


def recorded(seed, change=lambda looks: looks):
    generator = torch.Generator().manual_seed(seed)
    return [made_rows(change(random_looks(generator)), name) for name in NAMES]


@pytest.mark.parametrize("null", NULLS)
def test_a_head_that_copies_the_answer_is_above_chance_and_no_other_is(null):
    found = null(recorded(1, lambda looks: copying(looks, 2)), n_draws=199)
    assert found.heads() == [Head(0, 2)]
    assert float(found.observed[0, 2]) == 1.0
    # Eight needles: one sign pattern in 256 is as good.
    assert float(found.corrected()[0, 2]) <= 0.02
    assert found.smallest_pvalue == 1 / 200


def test_few_needles_reach_no_small_p_value():
    few = recorded(1, lambda looks: copying(looks, 2))[:3]
    found = permuted_answers(few, n_draws=199)
    assert found.smallest_pvalue == 1 / 8
    assert found.heads() == []


@pytest.mark.slow
@pytest.mark.parametrize("null", NULLS)
def test_heads_that_look_anywhere_are_called_above_chance_at_the_level(null):
    # Every one of 60 simulated runs has four heads that look anywhere: any of them is an error.
    wrong = sum(bool(null(recorded(seed), n_draws=99).heads(0.1)) for seed in range(60))
    # 0.1 of 60 is 6; 13 or more have a chance below one in a hundred.
    assert wrong < 13


def test_looking_at_whatever_is_odd_is_not_looking_at_what_was_asked_for():
    def odd(looks):
        looks = looks.clone()
        steps = torch.arange(LENGTH)
        # Half of the time the answer, half of the time the other needle's.
        looks[:, 0, 1] = torch.where(steps % 2 == 0, START + steps, OTHER + steps)
        return looks

    rows = recorded(2, odd)
    assert Head(0, 1) in random_spans(rows, n_draws=199).heads()
    found = permuted_answers(rows, n_draws=199)
    assert Head(0, 1) not in found.heads()
    assert (float(found.observed[0, 1]), float(found.chance[0, 1])) == (0.0, 0.5)


def test_looking_at_the_answer_at_the_wrong_moment_is_not_copying():
    def still(looks):
        looks = looks.clone()
        looks[:, 0, 3] = START + 2
        return looks

    rows = recorded(3, still)
    assert Head(0, 3) in random_spans(rows, n_draws=199).heads()
    found = shuffled_steps(rows, n_draws=199)
    assert found.heads() == []
    # It copies token 2 of 6 whatever the order.
    assert float(found.observed[0, 3]) == pytest.approx(1 / 6)
    assert float(found.chance[0, 3]) == pytest.approx(1 / 6)


def test_spans_are_drawn_from_everywhere_in_the_prompt():
    looks = torch.zeros(LENGTH, 1, 1)  # the first token, as a sink does
    found = random_spans([made_rows(looks)], n_draws=3000, seed=4)
    # Only a span that starts at 0 holds position 0: one start of 114.
    assert float(found.chance[0, 0]) == pytest.approx(1 / (N_PROMPT - LENGTH), abs=0.006)
    assert float(found.observed[0, 0]) == 0.0


def test_the_same_head_for_every_needle_is_told_from_another_one_each_time():
    same = torch.zeros(8, 2, 4)
    same[:, 1, 2] = 1.0
    found = shuffled_labels(make_scores(same), list(NAMES), n_draws=199)
    assert found.heads() == [Head(1, 2)]
    assert float(found.chance[1, 0]) == pytest.approx(0.25, abs=0.02)
    other = torch.zeros(8, 2, 4)
    for needle in range(8):
        other[needle, 1, needle % 4] = 1.0
    assert shuffled_labels(make_scores(other), list(NAMES), n_draws=199).heads() == []


@pytest.mark.slow
def test_shuffled_labels_hold_their_level_over_heads():
    generator = torch.Generator().manual_seed(5)
    wrong = sum(
        bool(
            shuffled_labels(
                make_scores(torch.rand(8, 2, 8, generator=generator)), list(NAMES), n_draws=99
            ).heads(0.1)
        )
        for _ in range(60)
    )
    assert wrong < 13


def test_trials_of_a_needle_count_once():
    values = torch.zeros(4, 1, 2)
    values[:3, 0, 0] = 1.0
    found = shuffled_labels(make_scores(values), ["a", "a", "a", "b"], n_draws=9)
    assert float(found.observed[0, 0]) == 0.5


def test_p_values_and_correction_by_hand():
    draws = torch.tensor([[[0.1, 0.4]], [[0.2, 0.1]], [[0.5, 0.3]]])
    null = HeadNull("made", torch.tensor([[0.3, 0.45]]), draws, draws.mean(dim=0))
    assert null.pvalues().tolist() == [[0.5, 0.25]]
    # Highest heads of the draws: 0.4, 0.2, 0.5.
    assert null.corrected().tolist() == [[0.75, 0.5]]
    pooled = HeadNull("made", torch.tensor([[0.3, 0.45]]), draws, draws.mean(dim=0), pooled=True)
    assert pooled.pvalues().tolist() == [[4 / 7, 2 / 7]]


def test_heads_that_see_nothing_have_no_p_value():
    observed = torch.tensor([[float("nan"), 1.0]])
    null = HeadNull("made", observed, torch.zeros(9, 1, 2), torch.zeros(1, 2))
    assert null.corrected().isnan().tolist() == [[True, False]]
    assert list(null.to_dataframe()["label"]) == ["L0H1"]


def test_the_table_of_a_result_gains_chance_and_p_values():
    values = torch.zeros(8, 1, 4)
    values[:, 0, 2] = 1.0
    scores = make_scores(values)
    null = random_spans(recorded(1, lambda looks: copying(looks, 2)), n_draws=99)
    table = with_nulls(scores, [null])
    assert list(table.columns[-3:]) == [
        "chance: random spans", "p: random spans", "p_corrected: random spans"
    ]  # fmt: skip
    assert table["label"][0] == "L0H2"
    assert table["p_corrected: random spans"][0] == 0.01
    with pytest.raises(ValueError, match=r"Expected nulls of \[1, 3\] heads"):
        with_nulls(make_scores(values[..., :3]), [null])


def test_other_needles_go_round():
    needles = evaluation_needles()[:3]
    paired = with_other_needles(needles)
    assert [one.distractors[0].answer for one in paired] == [
        needles[1].answer, needles[2].answer, needles[0].answer
    ]  # fmt: skip


def test_prompts_without_another_needle_are_refused():
    row = made_rows(torch.zeros(LENGTH, 1, 1))
    object.__setattr__(row.prompt, "distractor_answer_spans", ())
    with pytest.raises(ValueError, match="found none in the prompts"):
        permuted_answers([row])
