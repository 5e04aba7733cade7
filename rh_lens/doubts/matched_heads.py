"""Other heads that are as loud, as focused and as much on the first token: nearest neighbours."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import MAX_REPEATS, require_seed, require_type, require_whole_number
from rh_lens.doubts.recording import record_answers
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions import NoControlsError, head_traits
from rh_lens.interventions.editing import require_heads
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge

TRAIT_NAMES = ("log norm", "entropy", "sink")
# Heads that each control is drawn from, so that several sets exist.
_N_NEAREST = 3
# Outputs that are shorter, as a share of the longest, count as this long.
_QUIET = 1e-6


@dataclass(frozen=True, eq=False)
class MatchingTraits:
    """Traits of every head while answers are said; NaN in layers without attention.

    Args:
        values: Log of the output's norm, entropy of the attention in nats, and attention on the
            first token, in the order of `TRAIT_NAMES`.
    """

    values: Float[Tensor, "layer head trait"]

    __repr__ = short_repr

    def standardised(self) -> Float[Tensor, "layer head trait"]:
        """The traits less their mean over all heads, in units of their spread."""
        known = self.values[~self.values.isnan().any(dim=-1)]
        return (self.values - known.mean(dim=0)) / known.std(dim=0).clamp(min=1e-12)


@dataclass(frozen=True, eq=False)
class MatchedHeads:
    """Sets of other heads, each head near one of the given ones in all traits together.

    Args:
        heads: The heads that partners were sought for.
        draws: The sets, distinct.
        balance: One row a trait: `trait`, `heads` and `controls` (means in the trait's unit) and
            `difference` (of the means, in standard deviations over all heads). Above 0.25 or so
            the controls are not alike in it (Stuart 2010, section 4.1).
    """

    heads: tuple[Head, ...]
    draws: tuple[tuple[Head, ...], ...]
    balance: pd.DataFrame

    __repr__ = short_repr

    @property
    def worst(self) -> float:
        """Largest difference of a trait, in standard deviations."""
        return float(self.balance["difference"].abs().max())


def matching_traits(model: Bridge, prompts: Sequence[NeedlePrompt]) -> MatchingTraits:
    """Output norm, attention entropy and attention sink of every head, at the answers' rows.

    Args:
        model: A TransformerBridge.
        prompts: One or more; their answers are fed.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no prompt.

    Examples:
        >>> traits = matching_traits(model, new_prompts)
        >>> list(traits.values.shape)
        [4, 8, 3]
    """
    asked = require_prompts(prompts)
    norm = head_traits(model, asked).norm
    # Heads that say nothing at all have no logarithm.
    norm = norm.clamp(min=_QUIET * float(norm.nan_to_num(0).max())).log()
    rows = record_answers(model, asked)

    def mean(name: str) -> Float[Tensor, "layer head"]:
        parts = [getattr(one.sources if name == "sink_mass" else one, name) for one in rows]
        return rows[0].sources.by_model_layer(torch.cat(parts).double().mean(dim=0))

    return MatchingTraits(torch.stack([norm, mean("entropy"), mean("sink_mass")], dim=-1))


def matched_heads(
    heads: HeadsLike,
    traits: MatchingTraits,
    *,
    exclude: HeadsLike = (),
    n_draws: int = 5,
    seed: int = 0,
) -> MatchedHeads:
    """Sets of other heads of any layer that are near the given ones in all traits.

    The heads choose in random order, each one of the three nearest that are free, by Euclidean
    distance of standardised traits. Nearest does not mean near: see `balance`.

    Args:
        heads: The heads in question.
        traits: From `matching_traits`.
        exclude: Further heads that are no controls.
        n_draws: Sets to draw; fewer come back where fewer turn up.
        seed: Of the draws.

    Raises:
        NoControlsError: There are fewer other heads than heads. A ValueError.
        TypeError: An argument is of another type.
        ValueError: There is no head, or it has no traits.

    Examples:
        >>> traits = matching_traits(model, new_prompts)
        >>> found = matched_heads(heads, traits, n_draws=2)
        >>> len(found.draws)
        2
    """
    require_type("traits", traits, MatchingTraits, remedy="Measure them with matching_traits.")
    require_whole_number("n_draws", n_draws, at_least=1, at_most=MAX_REPEATS)
    require_seed("seed", seed)
    values = traits.standardised()
    known = ~values.isnan().any(dim=-1)
    counts = {layer: values.shape[1] for layer in range(len(values)) if known[layer].any()}
    chosen, left_out = tuple(dict.fromkeys(as_heads(heads))), set(as_heads(exclude))
    require_heads([*chosen, *left_out], counts)
    free = [Head(*place) for place in known.nonzero().tolist()]
    free = [head for head in free if head not in left_out and head not in chosen]
    if not chosen or len(free) < len(chosen):
        raise NoControlsError(
            f"Expected one head or more, and as many others; found {len(chosen)} and {len(free)} "
            "others. Exclude fewer heads, or ask for fewer."
        )
    rng = random.Random(seed)
    found: dict[tuple[Head, ...], None] = {}
    for _ in range(20 * n_draws):
        if len(found) < n_draws:
            found.setdefault(_draw(chosen, free, values, rng))
    return MatchedHeads(chosen, tuple(found), _balance(chosen, tuple(found), traits))


def _draw(
    heads: Sequence[Head],
    free: Sequence[Head],
    values: Float[Tensor, "layer head trait"],
    rng: random.Random,
) -> tuple[Head, ...]:
    left, partners = list(free), []
    for head in rng.sample(heads, len(heads)):
        own = values[head.layer, head.head]
        left.sort(key=lambda one: float((values[one.layer, one.head] - own).norm()))
        partners.append(left.pop(rng.randrange(min(_N_NEAREST, len(left)))))
    return tuple(sorted(partners))


def _balance(
    heads: Sequence[Head], draws: Sequence[Sequence[Head]], traits: MatchingTraits
) -> pd.DataFrame:
    def mean(values: Tensor, chosen: Sequence[Head]) -> Tensor:
        return values[[h.layer for h in chosen], [h.head for h in chosen]].mean(dim=0)

    controls = [head for draw in draws for head in draw]
    plain, scaled = traits.values, traits.standardised()
    difference = mean(scaled, heads) - mean(scaled, controls)
    columns = {
        "trait": TRAIT_NAMES,
        "heads": mean(plain, heads).tolist(),
        "controls": mean(plain, controls).tolist(),
        "difference": difference.tolist(),
    }
    return pd.DataFrame(columns)
