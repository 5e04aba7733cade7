"""Directions added to heads' outputs, taken out of them, and noise in their place."""

import pickle

import pytest
import torch
from tolerances import assert_close, model_rounding

from rh_lens.interventions import (
    HeadOutputs,
    add_direction,
    project_out,
    random_ablation,
    zero_ablation,
)


def outputs_under(bridge, tokens, hooks, layer=1):
    """z of a layer, and the logits."""
    kept = {}

    def keep(z, hook):
        kept["z"] = z.clone()

    listening = [(f"blocks.{layer}.attn.hook_z", keep)]
    with torch.inference_mode(), bridge.hooks(fwd_hooks=[*hooks, *listening]):
        logits = bridge(tokens[None], return_type="logits")
    return kept["z"][0], logits[0]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2"])
def test_a_direction_is_added_to_its_head_only(tiny_model, random_tokens, architecture) -> None:
    bridge = tiny_model(architecture).bridge
    directions = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    plain, _ = outputs_under(bridge, random_tokens, [])
    hooks = add_direction(["L1H3", "L1H0"], directions, 2.0)
    shifted, _ = outputs_under(bridge, random_tokens, hooks)
    expected = torch.zeros_like(plain)
    expected[:, 3], expected[:, 0] = 2 * directions[0], 2 * directions[1]
    assert_close(shifted, plain + expected, model_rounding(bridge, 40))
    assert torch.equal(shifted[:, 1:3], plain[:, 1:3])


def test_adding_and_subtracting_cancel_and_nothing_is_nothing(llama, random_tokens) -> None:
    direction = torch.ones(8)
    plain, logits = outputs_under(llama, random_tokens, [])
    hooks = [*add_direction("L1H2", direction, 3.0), *add_direction("L1H2", direction, -3.0)]
    back, _ = outputs_under(llama, random_tokens, hooks)
    assert_close(back, plain, model_rounding(llama, 40))
    _, same = outputs_under(llama, random_tokens, add_direction("L1H2", direction, 0.0))
    assert torch.equal(same, logits)


def test_a_silenced_head_says_what_is_added_behind(llama, random_tokens) -> None:
    plain, _ = outputs_under(llama, random_tokens, [])
    hooks = [
        *zero_ablation("L1H1"),
        *add_direction("L1H1", plain[:, 1].mean(0)),
    ]
    shifted, _ = outputs_under(llama, random_tokens, hooks)
    assert torch.equal(shifted[:, 1], plain[:, 1].mean(0).expand(40, -1))


def test_nothing_is_left_along_a_direction_that_is_taken_out(llama, random_tokens) -> None:
    direction = torch.randn(8, generator=torch.Generator().manual_seed(1)) * 7
    plain, _ = outputs_under(llama, random_tokens, [])
    without, _ = outputs_under(llama, random_tokens, project_out("L1H2", direction))
    unit = direction / direction.norm()
    tolerance = model_rounding(llama, 40) * float(plain.abs().max())
    assert (without[:, 2] @ unit).abs().max() <= tolerance
    across = plain[:, 2] - (plain[:, 2] @ unit)[:, None] * unit
    assert_close(without[:, 2], across, model_rounding(llama, 40))
    assert torch.equal(without[:, :2], plain[:, :2])


def test_noise_has_the_reference_s_mean_and_spread(llama, random_tokens) -> None:
    rows = torch.randn(4000, 4, 8, generator=torch.Generator().manual_seed(2)) * 3 + 5
    reference = HeadOutputs({1: rows}, "prompt", 1, ("x",))
    draws = []
    for seed in range(40):
        z, _ = outputs_under(llama, random_tokens, random_ablation("L1H2", reference, seed))
        assert torch.equal(z[:, 2], z[:1, 2].expand(40, -1))
        draws.append(z[0, 2])
    drawn = torch.stack(draws)
    # 320 numbers of standard deviation 3 about 5: four standard errors.
    assert abs(float(drawn.mean()) - 5) < 4 * 3 / 320**0.5
    assert abs(float(drawn.std()) - 3) < 4 * 3 / 640**0.5
    first = random_ablation("L1H2", reference, 0)
    assert torch.equal(outputs_under(llama, random_tokens, first)[0][0, 2], draws[0])


def test_hooks_can_be_pickled(llama, random_tokens) -> None:
    hooks = add_direction("L1H2", torch.ones(8))
    copied = pickle.loads(pickle.dumps(hooks))
    assert torch.equal(
        outputs_under(llama, random_tokens, hooks)[1],
        outputs_under(llama, random_tokens, copied)[1],
    )


def test_bad_directions_are_refused(llama, random_tokens) -> None:
    with pytest.raises(ValueError, match=r"found \[3, 8\] for 2 heads"):
        add_direction(["L1H0", "L1H1"], torch.ones(3, 8))
    with pytest.raises(ValueError, match="Expected finite directions"):
        add_direction("L1H0", torch.full((8,), torch.nan))
    with pytest.raises(ValueError, match="Expected directions that are not zero"):
        project_out("L1H0", torch.zeros(8))
    with pytest.raises(ValueError, match="size of a head's output, 8; found 5"):
        outputs_under(llama, random_tokens, add_direction("L1H0", torch.ones(5)))
    with pytest.raises(
        ValueError, match="Expected a reference of two rows or more, to know their spread"
    ):
        random_ablation("L1H0", HeadOutputs({1: torch.ones(1, 4, 8)}, "prompt", 1, ("x",)), 0)
