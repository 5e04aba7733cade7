"""Silencing the head that copies costs the answer; silencing something else does not."""

import pytest
import torch
from planted_circuit import IDLE, INDUCTION, PREVIOUS, SUPPRESSOR

from rh_lens.doubts import (
    MatchingTraits,
    matched_heads,
    matching_traits,
    needle_stream_lost,
    operator_agreement,
    silence_instead,
)
from rh_lens.doubts.alternatives import disturbed_heads
from rh_lens.heads import Head
from rh_lens.interventions import NoControlsError


def test_the_copying_head_costs_more_than_every_alternative(planted, prompts):
    found = silence_instead(planted, prompts, INDUCTION)
    assert found.effect().low > 1
    assert {"other heads", "MLPs", "induction heads", "matched heads", "disturbed"} <= set(
        found.names
    )
    for name in ("other heads", "MLPs", "matched heads"):
        assert found.excess(name).low > 0
    assert INDUCTION.label not in found.what["induction heads"]
    # The MLPs of the planted model are 0.
    assert found.effect("MLPs").mean == pytest.approx(0, abs=1e-4)
    assert found.bound().mean > 1
    table = found.to_dataframe()
    assert table["name"].iloc[[0, -1]].tolist() == ["the heads", "needle's stream"]


@pytest.mark.slow
def test_an_idle_head_costs_nothing(planted, prompts):
    found = silence_instead(planted, prompts, IDLE[-1])
    assert found.effect().mean == pytest.approx(0, abs=1e-4)
    assert found.excess("induction heads").high < 0


def test_a_disturbance_is_as_long_as_the_output(planted, prompts):
    seen = {}

    def keep(name):
        def hook(z, hook):
            seen[name] = z.clone()

        return hook

    point = f"blocks.{INDUCTION.layer}.attn.hook_z"
    tokens = prompts[0].tokens[None]
    disturbed = disturbed_heads(planted, [INDUCTION], seed=3)
    planted.run_with_hooks(tokens, fwd_hooks=[(point, keep("before"))])
    planted.run_with_hooks(tokens, fwd_hooks=[*disturbed, (point, keep("after"))])
    moved = (seen["after"] - seen["before"]).detach()[0]
    own = moved[:, INDUCTION.head].norm(dim=-1)
    torch.testing.assert_close(own, seen["before"].detach()[0, :, INDUCTION.head].norm(dim=-1))
    others = [head for head in range(4) if head != INDUCTION.head]
    assert not moved[:, others].any()


def test_all_operators_find_the_copying_head_and_none_an_idle_one(planted, prompts):
    found = operator_agreement(
        planted, prompts[:3], INDUCTION, reference=prompts[3:], controls=IDLE
    )
    assert found.operators == ("zero", "mean", "resample", "random", "uniform", "knock-out")
    assert found.left_out == ()
    for name in found.operators:
        assert found.effect(name).mean > 1
        assert found.excess(name).mean > 1
    idle = operator_agreement(planted, prompts[:2], IDLE[-1], reference=prompts[3:])
    assert max(abs(idle.effect(name).mean) for name in ("zero", "mean", "uniform")) < 1e-3


@pytest.mark.slow
def test_operators_that_an_architecture_discards_are_left_out_with_the_reason(
    tiny_model, otter_prompt
):
    model = tiny_model("opt").bridge
    found = operator_agreement(model, [otter_prompt], [(1, 0)], reference=[otter_prompt])
    assert found.operators == ("zero", "mean", "resample", "random")
    assert [name for name, _ in found.left_out] == ["uniform", "knock-out"]
    assert "discards such edits" in found.left_out[0][1]


def test_without_the_needles_stream_the_planted_answer_is_gone(planted, prompts):
    first, second = (needle_stream_lost(planted, prompts, layer) for layer in (0, 1))
    assert float(second.min()) > 1
    # From layer 0 on nothing of the needle's tokens is left either.
    assert float(first.min()) > 1


def test_matched_heads_are_the_nearest_and_the_balance_says_how_near():
    values = torch.zeros(2, 6, 3, dtype=torch.float64)
    values[0] = torch.arange(6.0)[:, None]
    values[1] = 10 + torch.arange(6.0)[:, None]
    found = matched_heads(Head(0, 0), MatchingTraits(values), n_draws=3, seed=1)
    assert set(found.draws) == {(Head(0, 1),), (Head(0, 2),), (Head(0, 3),)}
    assert list(found.balance["trait"]) == ["log norm", "entropy", "sink"]
    assert found.balance["controls"].tolist() == [2.0] * 3
    spread = float(values[..., 0].std())
    assert found.worst == pytest.approx(2 / spread)
    twins = matched_heads(Head(0, 0), MatchingTraits(torch.zeros(2, 6, 3).double()), n_draws=2)
    assert twins.worst == 0


def test_too_few_others_are_refused():
    traits = MatchingTraits(torch.zeros(1, 3, 3).double())
    with pytest.raises(NoControlsError, match="found 2 and 1 others"):
        matched_heads([(0, 0), (0, 1)], traits)


@pytest.mark.slow
def test_traits_are_those_of_the_rows(planted, prompts):
    values = matching_traits(planted, prompts[:2]).values
    assert values.shape == (2, 4, 3)
    entropy = values[..., 1]
    # Idle heads look everywhere, the planted ones at one place.
    assert float(entropy[INDUCTION.layer, INDUCTION.head]) < 1
    assert float(entropy[IDLE[-1].layer, IDLE[-1].head]) > 3
    assert float(values[SUPPRESSOR.layer, SUPPRESSOR.head, 2]) < 0.05
    assert PREVIOUS.layer == 0
