"""A bonus on attention scores: the odds of a look, and nothing at 0."""

from collections.abc import Callable

import pytest
import torch
from tiny_models import TinyModel
from torch import Tensor

from rh_lens.interventions import add_attention_bonus


@torch.no_grad()
def patterns(bridge, tokens: Tensor, hooks) -> tuple[Tensor, Tensor]:
    """Layer 1's pattern, and the logits."""
    kept: list[Tensor] = []
    listening = [("blocks.1.attn.hook_pattern", lambda pattern, hook: kept.append(pattern[0]))]
    with bridge.hooks(fwd_hooks=[*hooks, *listening]):
        logits = bridge(tokens[None])
    return kept[0], logits


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen3"])
def test_the_odds_rise_by_the_factor(
    name: str, tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    bridge = tiny_model(name).bridge
    plain, _ = patterns(bridge, random_tokens, [])
    found, _ = patterns(bridge, random_tokens, add_attention_bonus(bridge, "L1H2", (5, 9), 1.5))

    def odds(pattern: Tensor) -> Tensor:
        on_span = pattern[:, 20:, 5:9].double().sum(dim=-1)
        return on_span / (1 - on_span)

    factor = odds(found) / odds(plain)
    torch.testing.assert_close(
        factor[2], torch.full((20,), 1.5, dtype=torch.double).exp(), rtol=1e-4, atol=0
    )
    assert torch.equal(found[[0, 1, 3]], plain[[0, 1, 3]])
    # What lies ahead stays hidden.
    assert found[2, 3, 4:].abs().max() == 0


def test_a_bonus_of_0_changes_no_bit(
    tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    bridge = tiny_model("llama").bridge
    _, plain = patterns(bridge, random_tokens, [])
    hooks = add_attention_bonus(bridge, ["L0H1", "L1H2"], [0, 7, 39], 0.0)
    _, found = patterns(bridge, random_tokens, hooks)
    assert torch.equal(found, plain)
    _, again = patterns(bridge, random_tokens, [])
    assert torch.equal(again, plain)
