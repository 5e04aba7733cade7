"""A bonus on attention scores: the odds of a look, and nothing at 0."""

from collections.abc import Callable

import pytest
import torch
from tiny_models import TinyModel
from torch import Tensor

from rh_lens.interventions import add_attention_bonus, follow_attention
from rh_lens.runtime import Draft, greedy_decode


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


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen3"])
def test_heads_follow_the_leader_row_by_row(
    name: str, tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    """Odds of the leader's key rise by the factor in each row, whatever key it is."""
    bridge = tiny_model(name).bridge
    plain, _ = patterns(bridge, random_tokens, [])
    found, _ = patterns(bridge, random_tokens, follow_attention(bridge, "L1H3", ["L1H2"], 1.5))
    key = plain[3].argmax(dim=-1)

    def odds(pattern: Tensor) -> Tensor:
        at = pattern[2].double().gather(-1, key[:, None])[1:, 0]
        return at / (1 - at)

    assert key.unique().numel() > 5
    factor = odds(found) / odds(plain)
    torch.testing.assert_close(factor, torch.full_like(factor, 1.5).exp(), rtol=1e-4, atol=0)
    assert torch.equal(found[[0, 1, 3]], plain[[0, 1, 3]])


def test_the_leader_is_heard_in_earlier_layers_and_within_a_span(
    tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    bridge = tiny_model("llama").bridge
    kept: list[Tensor] = []
    listening = [("blocks.0.attn.hook_pattern", lambda pattern, hook: kept.append(pattern[0]))]
    plain, logits = patterns(bridge, random_tokens, listening)
    hooks = follow_attention(bridge, "L0H1", ["L1H2"], 60.0, span=(0, 4))
    found, _ = patterns(bridge, random_tokens, hooks)
    key = kept[0][1, :, :4].argmax(dim=-1)
    assert torch.equal(found[2].argmax(dim=-1)[4:], key[4:])
    assert torch.equal(found[[0, 1, 3]], plain[[0, 1, 3]])
    _, same = patterns(bridge, random_tokens, follow_attention(bridge, "L0H1", ["L1H2"], 0.0))
    assert torch.equal(same, logits)
    assert follow_attention(bridge, "L0H1", [], 1.0) == []


def test_only_what_comes_after_a_leader_can_follow_it(
    tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    bridge = tiny_model("llama").bridge
    with pytest.raises(ValueError, match=r"found L0H2, which attends before it"):
        follow_attention(bridge, "L1H1", ["L1H2", "L0H2"], 1.0)
    with pytest.raises(ValueError, match="to be one head; found 2"):
        follow_attention(bridge, ["L0H1", "L0H2"], ["L1H2"], 1.0)
    hooks = follow_attention(bridge, "L0H1", ["L1H2"], 1.0, span=(8, 12))
    with pytest.raises(ValueError, match="a row that sees none"):
        patterns(bridge, random_tokens, hooks)


def test_drafted_answers_are_the_stepwise_ones(tiny_model: Callable[[str], TinyModel]) -> None:
    bridge = tiny_model("llama").bridge
    tokens = torch.arange(3, 40) % 50
    hooks = follow_attention(bridge, "L0H1", ["L0H0", "L1H2"], 6.0, span=(0, 20))
    options = {"max_new_tokens": 8, "decode_hooks": hooks}
    stepwise = greedy_decode(bridge, tokens, **options)
    wrong = [*stepwise.said[:5], stepwise.said[0], *stepwise.said[6:]]
    drafted = greedy_decode(bridge, tokens, draft=Draft(guesses=[wrong]), **options)
    assert drafted.said == stepwise.said
    assert drafted.n_passes < stepwise.n_passes
    assert stepwise.said != greedy_decode(bridge, tokens, max_new_tokens=8).said
