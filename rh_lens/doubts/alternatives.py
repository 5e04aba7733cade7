"""What else could be silenced: is it these heads that carry the answer, or anything nearby?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.circuits import induction_heads, previous_token_heads, repeated_random_tokens
from rh_lens.doubts.fed_answers import PLAIN, FedAnswers, fed_answers, over_needles
from rh_lens.doubts.heads_given import require_heads_of
from rh_lens.doubts.matched_heads import MatchedHeads, matched_heads, matching_traits
from rh_lens.doubts.needle_stream import needle_stream_lost
from rh_lens.evaluation import Estimate
from rh_lens.heads import Head, HeadsLike
from rh_lens.interventions import NoControlsError, zero_ablation
from rh_lens.interventions.editing import HeadEdit, edit_outputs, head_counts
from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge, FwdHooks

HEADS = "the heads"
# Draws of what is random: matched heads and disturbances.
_N_DRAWS = 3
# Sequences of repeated random tokens to find induction heads with, and tokens in one repeat.
_N_SEQUENCES, _N_TOKENS = 4, 32


@dataclass(frozen=True, eq=False)
class Alternatives:
    """Log-probability lost, in nats, when something else is silenced instead of the heads.

    Args:
        lost: By name, one number for each prompt; mean over draws where there are several.
        what: What each silences, in words.
        needles: Name of each prompt's needle.
        needle_stream: Nats lost when nothing can be read at the needle from the heads' first layer
            on (`needle_stream_lost`): what any head could carry, not a rival.
        matched: The matched heads with their balance table; None if there are too few heads.
    """

    lost: Mapping[str, Float[Tensor, " prompt"]]
    what: Mapping[str, str]
    needles: tuple[str, ...]
    needle_stream: Float[Tensor, " prompt"]
    matched: MatchedHeads | None

    def __repr__(self) -> str:
        means = ", ".join(f"{name} {float(one.mean()):.2f}" for name, one in self.lost.items())
        return f"Alternatives({len(self.needles)} prompts; nats lost: {means})"

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), "Log-probability lost, in nats")

    def effect(self, name: str = HEADS, *, level: float = 0.95) -> Estimate:
        """Nats lost with one of them silenced, and the interval over needles."""
        return over_needles(self.lost[name], self.needles, level=level)

    def excess(self, name: str, *, level: float = 0.95) -> Estimate:
        """Nats lost with the heads silenced less those with an alternative silenced."""
        return over_needles(self.lost[HEADS] - self.lost[name], self.needles, level=level)

    def bound(self, *, level: float = 0.95) -> Estimate:
        """Nats lost without the needle's residual stream."""
        return over_needles(self.needle_stream, self.needles, level=level)

    @property
    def names(self) -> tuple[str, ...]:
        """The alternatives, without the heads themselves."""
        return tuple(name for name in self.lost if name != HEADS)

    def to_dataframe(self) -> pd.DataFrame:
        """One row each: name, what, lost with interval, and the heads' loss less this one's."""
        rows = []
        for name in self.lost:
            row: dict[str, object] = {"name": name, "what": self.what[name]}
            more = self.excess(name).named("heads_lose_more")
            rows.append(row | self.effect(name).named("lost") | more)
        stream = {"name": "needle's stream", "what": "the needle's rows, blank: a bound"}
        rows.append({**stream, **self.bound().named("lost")})
        return pd.DataFrame(rows)


def silence_instead(
    model: Bridge, prompts: Sequence[NeedlePrompt], heads: HeadsLike, *, seed: int = 0
) -> Alternatives:
    """What the answer loses when something else is silenced while it is said.

    The alternatives: all other heads of the same layers; the MLPs of these layers; as many
    induction heads, and previous-token heads, as there are heads, by their own detectors and none
    of them among the heads; heads matched by norm, entropy and sink (`matched_heads`); and the
    heads left on, but disturbed by a random direction as long as their output. Those that the
    model has not are left out.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts; their answers are fed.
        heads: The heads in question.
        seed: Of the draws.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no head or no prompt, or a head is not the model's.

    Examples:
        >>> found = silence_instead(model, new_prompts, heads)
        >>> found.names
        ('other heads', 'MLPs', 'induction heads', 'previous-token heads', 'disturbed', 'matched
         heads')
    """
    chosen, others = require_heads_of(model, heads)
    conditions: dict[str, FwdHooks] = {HEADS: zero_ablation(chosen, model=model)}
    what = {HEADS: _labels(chosen)}

    def add(name: str, hooks: FwdHooks, said: str) -> None:
        conditions[name], what[name.partition("/")[0]] = hooks, said

    add("other heads", zero_ablation(others, model=model), _labels(others))
    if mlps := silenced_mlps(model, sorted({head.layer for head in chosen})):
        add("MLPs", mlps, "MLPs of the same layers")
    for name, found in _kinds(model, chosen, seed).items():
        add(name, zero_ablation(found, model=model), _labels(found))
    for draw in range(_N_DRAWS):
        disturbed = disturbed_heads(model, chosen, seed + draw)
        add(f"disturbed/{draw}", disturbed, "the heads, plus noise as long as their output")
    matched = _matched(model, prompts, chosen, seed)
    for place, drawn in enumerate(matched.draws if matched else ()):
        add(f"matched heads/{place}", zero_ablation(drawn, model=model), "alike in norm, focus")
    answers = fed_answers(model, prompts, conditions)
    stream = needle_stream_lost(model, prompts, min(head.layer for head in chosen))
    return Alternatives(_lost(answers), what, answers.needles, stream, matched)


def silenced_mlps(model: Bridge, layers: Sequence[int]) -> FwdHooks:
    """Hooks that silence the MLPs of layers; none where a layer's MLP has no hook point."""
    points = [f"blocks.{layer}.hook_mlp_out" for layer in layers]
    return [(name, _silent) for name in points if name in model.hook_dict]


def disturbed_heads(model: Bridge, heads: Sequence[Head], seed: int) -> FwdHooks:
    r"""Hooks that add a random direction as long as the output: $z_h := z_h + \|z_h\| u_h$.

    As far from the untouched output as silence is, elsewhere; $u_h$ is drawn once for each head.
    """

    def edit_of(layer: int, indices: list[int]) -> HeadEdit:
        def disturb(z: Float[Tensor, "batch pos head d_head"]) -> Tensor:
            drawn = [_direction(seed, layer, index, z.shape[-1]) for index in indices]
            return z + z.norm(dim=-1, keepdim=True) * torch.stack(drawn).to(z)

        return disturb

    return edit_outputs(heads, edit_of, head_counts(model))


def _direction(seed: int, layer: int, head: int, width: int) -> Float[Tensor, " d_head"]:
    generator = torch.Generator().manual_seed((seed * 1009 + layer) * 4099 + head)
    drawn = torch.randn(width, generator=generator)
    return drawn / drawn.norm()


def _silent(tensor: Tensor, hook: Any) -> Tensor:
    return torch.zeros_like(tensor)


def _kinds(model: Bridge, heads: Sequence[Head], seed: int) -> dict[str, list[Head]]:
    """As many heads of other kinds, best first, that are not among the heads."""
    sequences = repeated_random_tokens(
        model, n_tokens=_N_TOKENS, n_sequences=_N_SEQUENCES, seed=seed
    )
    detectors: dict[str, Callable[..., Any]] = {
        "induction heads": induction_heads,
        "previous-token heads": previous_token_heads,
    }
    rankings = {name: detect(model, sequences).ranking() for name, detect in detectors.items()}
    found = {
        name: [head for head in ranking if head not in heads][: len(heads)]
        for name, ranking in rankings.items()
    }
    return {name: kind for name, kind in found.items() if kind}


def _matched(
    model: Bridge, prompts: Sequence[NeedlePrompt], heads: Sequence[Head], seed: int
) -> MatchedHeads | None:
    try:
        return matched_heads(heads, matching_traits(model, prompts), n_draws=_N_DRAWS, seed=seed)
    except NoControlsError:
        return None


def _lost(answers: FedAnswers) -> dict[str, Float[Tensor, " prompt"]]:
    """Nats lost under each condition, mean over its draws."""
    parts: dict[str, list[Tensor]] = {}
    for name in answers.conditions:
        if name != PLAIN:
            lost = answers.of(PLAIN) - answers.of(name)
            parts.setdefault(name.partition("/")[0], []).append(lost)
    return {name: torch.stack(several).mean(dim=0) for name, several in parts.items()}


def _labels(heads: Sequence[Head]) -> str:
    shown = ", ".join(head.label for head in heads[:8])
    return shown if len(heads) <= 8 else f"{shown} and {len(heads) - 8} more"
