"""More of the head that copies, more of the answer; more of an idle one changes nothing."""

import pytest
import torch
from planted_circuit import IDLE, INDUCTION, SUPPRESSOR

from rh_lens.circuits import answer_log_probability
from rh_lens.doubts import dose_response, fed_answers
from rh_lens.interventions import zero_ablation
from rh_lens.runtime import Condition


def test_a_fed_answer_is_as_likely_as_one_pass_says(planted, prompts):
    found = fed_answers(planted, prompts[:2], {"silent": zero_ablation([INDUCTION])})
    assert found.conditions == ("plain", "silent")
    prompt = prompts[1]
    tokens = torch.cat([prompt.tokens, prompt.answer_tokens])[None]
    n = len(prompt.answer_tokens)
    logits = planted(tokens)[0, -n - 1 : -1].detach()
    expected = float(answer_log_probability(logits, prompt.answer_tokens))
    assert float(found.of("plain")[1]) == pytest.approx(expected, rel=1e-3)
    assert float(found.of("silent")[1]) < expected - 1
    assert found.chosen[0].tolist() == [1.0, 1.0]
    assert found.lost("silent").low > 0
    assert list(found.to_dataframe()["condition"]) == ["plain", "silent"]


@pytest.mark.slow
def test_hooks_of_a_prompt_and_conditions_on_reading_are_conditions_too(planted, prompts):
    asked = []

    def of_prompt(prompt):
        asked.append(prompt.needle.name)
        return zero_ablation([INDUCTION])

    found = fed_answers(
        planted,
        prompts[:2],
        {"own": of_prompt, "read": Condition(zero_ablation([(0, 1)]), scope="prefill")},
    )
    assert asked == [one.needle.name for one in prompts[:2]]
    # Without the previous-token head while reading, the induction head matches nothing.
    assert found.lost("read").mean > 1


def test_the_answer_gains_with_the_dose_of_the_copying_head(planted, prompts):
    found = dose_response(planted, prompts, [INDUCTION], controls=IDLE)
    assert found.rises()
    assert found.slope().low > 0
    assert found.excess().low > 0
    assert float(found.heads[found.factors.index(1.0), 0]) == pytest.approx(
        float(found.controls[found.factors.index(1.0), 0])
    )
    assert list(found.to_dataframe()["factor"]) == list(found.factors)


def test_an_idle_head_has_no_dose(planted, prompts):
    found = dose_response(planted, prompts, IDLE[-1], controls=IDLE[:1], factors=[0.0, 1.0])
    slope = found.slope()
    assert slope.low <= 0 <= slope.high
    assert slope.mean == pytest.approx(0, abs=1e-4)


@pytest.mark.slow
def test_the_suppressor_has_the_opposite_sign(planted, prompts):
    assert dose_response(planted, prompts, SUPPRESSOR, controls=IDLE).slope().high < 0


def test_the_slope_is_that_of_least_squares(planted, prompts):
    found = dose_response(planted, prompts[:2], INDUCTION, factors=[0.0, 0.5, 1.0, 1.5])
    x = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    y = found.heads[:3].mean(dim=1)
    slope = ((x - x.mean()) * y).sum() / ((x - x.mean()) ** 2).sum()
    assert found.slope().mean == pytest.approx(float(slope))


def test_heads_that_are_their_own_controls_are_refused(planted, prompts):
    with pytest.raises(ValueError, match="among both"):
        dose_response(planted, prompts, INDUCTION, controls=[INDUCTION])
    with pytest.raises(ValueError, match="two doses or more"):
        dose_response(planted, prompts, INDUCTION, factors=[0.5, 2.0])
