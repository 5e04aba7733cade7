"""What heads do together: alone, in pairs, given back one by one, and their fair shares."""

import itertools
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import MAX_REPEATS, require_seed, require_whole_number
from rh_lens.doubts.fed_answers import PLAIN, fed_answers, over_needles
from rh_lens.doubts.heads_given import heads_in_question
from rh_lens.evaluation import Estimate
from rh_lens.heads import Head, HeadsLike
from rh_lens.interventions import zero_ablation
from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge

Values = Float[Tensor, " prompt"]


@dataclass(frozen=True, eq=False)
class JointEffects:
    """Log-probabilities of the answers, in nats, with sets of heads silenced.

    Args:
        heads: The heads in question.
        silenced: By set, one number for each prompt; the empty set is the untouched model.
        needles: Name of each prompt's needle.
    """

    heads: tuple[Head, ...]
    silenced: Mapping[frozenset[Head], Values]
    needles: tuple[str, ...]

    def __repr__(self) -> str:
        return f"JointEffects({len(self.heads)} heads, {len(self.silenced)} sets silenced)"

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), repr(self), n_rows=50)

    def lost(self, heads: Iterable[Head]) -> Values:
        """Nats lost with these heads silenced together, for each prompt."""
        return self.silenced[frozenset()] - self.silenced[frozenset(heads)]

    def interaction(self, one: Head, other: Head, *, level: float = 0.95) -> Estimate:
        """Nats that a pair loses beyond the sum of what each loses alone.

        Above 0: each backs the other up. Below 0: either alone does most of the harm.
        """
        more = self.lost([one, other]) - self.lost([one]) - self.lost([other])
        return over_needles(more, self.needles, level=level)

    def rescue(self, head: Head, *, level: float = 0.95) -> Estimate:
        """Nats that come back when all heads are silenced but this one."""
        others = [one for one in self.heads if one != head]
        return over_needles(self.lost(self.heads) - self.lost(others), self.needles, level=level)

    def backup(self, *, level: float = 0.95) -> Estimate:
        """Nats that all heads lose together beyond the sum of what each loses alone."""
        alone = torch.stack([self.lost([head]) for head in self.heads]).sum(dim=0)
        return over_needles(self.lost(self.heads) - alone, self.needles, level=level)

    def to_dataframe(self) -> pd.DataFrame:
        """One row each: kind (alone, rescue, pair, all), heads, nats with interval."""
        rows = [("alone", h.label, over_needles(self.lost([h]), self.needles)) for h in self.heads]
        rows += [("rescue", head.label, self.rescue(head)) for head in self.heads]
        rows += [
            ("interaction", f"{one.label} {other.label}", self.interaction(one, other))
            for one, other in itertools.combinations(self.heads, 2)
        ]
        rows.append(("all", "all", over_needles(self.lost(self.heads), self.needles)))
        return pd.DataFrame(
            [{"kind": kind, "heads": heads, **found.named("nats")} for kind, heads, found in rows]
        )


@dataclass(frozen=True, eq=False)
class ShapleyValues:
    """Each head's share of what all of them do together.

    Args:
        heads: The heads.
        values: Nats for each prompt; over the heads they sum to what all lose together.
        sampling_error: Standard error of the mean over prompts that comes of the orders drawn; 0
            where all orders were tried.
        needles: Name of each prompt's needle.
        n_orders: Orders in which heads joined.
    """

    heads: tuple[Head, ...]
    values: Float[Tensor, "head prompt"]
    sampling_error: Float[Tensor, " head"]
    needles: tuple[str, ...]
    n_orders: int

    def __repr__(self) -> str:
        means = zip(self.heads, self.values.mean(dim=1).tolist(), strict=True)
        said = ", ".join(f"{head} {mean:.2f}" for head, mean in list(means)[:6])
        return f"ShapleyValues({said} nats; {self.n_orders} orders)"

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), repr(self), n_rows=50)

    def value(self, head: Head, *, level: float = 0.95) -> Estimate:
        """Share of a head, and its interval over needles."""
        return over_needles(self.values[self.heads.index(head)], self.needles, level=level)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a head, largest first: head, nats with interval over needles, sampling_error."""
        rows = [
            {
                "head": head.label,
                **self.value(head).named("nats"),
                "sampling_error": float(self.sampling_error[place]),
            }
            for place, head in enumerate(self.heads)
        ]
        return pd.DataFrame(rows).sort_values("nats", ascending=False, ignore_index=True)


def joint_effects(model: Bridge, prompts: Sequence[NeedlePrompt], heads: HeadsLike) -> JointEffects:
    """What heads do alone, in pairs, and when all are silenced and one is given back.

    Heads are silenced while the answer is said. Of k heads, 2 + 2 k + k (k - 1) / 2 sets are
    tried, each in one pass of the answer for each prompt.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts; their answers are fed.
        heads: Two heads or more.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are fewer than two heads, or one is not the model's.

    Examples:
        >>> found = joint_effects(model, new_prompts[:2], ["L2H4", "L2H5"])
        >>> len(found.to_dataframe())
        6
    """
    chosen = _several(model, heads)
    every = frozenset(chosen)
    sets = {frozenset(), every}
    sets |= {frozenset([head]) for head in chosen} | {every - {head} for head in chosen}
    sets |= {frozenset(pair) for pair in itertools.combinations(chosen, 2)}
    silenced, needles = _silenced(model, prompts, sets)
    return JointEffects(chosen, silenced, needles)


def shapley_values(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    heads: HeadsLike,
    *,
    n_orders: int = 24,
    seed: int = 0,
) -> ShapleyValues:
    r"""Each head's fair share of what all of them do together, by sampled orders of joining.

    All heads begin silenced and join in some order; a head's share is the mean of what it adds as
    it joins (Shapley 1953; sampled: Castro, Gomez and Tejada 2009). Shares sum to what silencing
    all loses. Where there are no more than `n_orders` orders at all, each is tried once.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts; their answers are fed.
        heads: Two heads or more.
        n_orders: Orders to draw; each needs up to as many passes a prompt as there are heads.
        seed: Of the orders.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are fewer than two heads, one is not the model's, or `n_orders` is
            below 2.

    Examples:
        >>> found = shapley_values(model, new_prompts[:2], ["L2H4", "L2H5"])
        >>> found.n_orders
        2
    """
    require_whole_number("n_orders", n_orders, at_least=2, at_most=MAX_REPEATS)
    require_seed("seed", seed)
    chosen = _several(model, heads)
    exact = len(chosen) <= 8 and math.factorial(len(chosen)) <= n_orders
    rng = random.Random(seed)
    orders = (
        list(itertools.permutations(chosen))
        if exact
        else [tuple(rng.sample(chosen, len(chosen))) for _ in range(n_orders)]
    )
    left = {frozenset(order[place:]) for order in orders for place in range(len(order) + 1)}
    silenced, needles = _silenced(model, prompts, left)
    added = torch.stack([_added(chosen, order, silenced) for order in orders])
    spread = added.mean(dim=-1).std(dim=0) / math.sqrt(len(orders))
    error = torch.zeros_like(spread) if exact else spread
    return ShapleyValues(chosen, added.mean(dim=0), error, needles, len(orders))


def _added(
    heads: Sequence[Head], order: Sequence[Head], silenced: Mapping[frozenset[Head], Values]
) -> Float[Tensor, "head prompt"]:
    """What each head adds as it joins in this order."""
    added = {
        head: silenced[frozenset(order[place + 1 :])] - silenced[frozenset(order[place:])]
        for place, head in enumerate(order)
    }
    return torch.stack([added[head] for head in heads])


def _several(model: Bridge, heads: HeadsLike) -> tuple[Head, ...]:
    chosen = heads_in_question(model, heads)
    if len(chosen) < 2:
        raise ValueError(
            f"Expected two heads or more; found {len(chosen)}. Name those that may back each "
            "other up."
        )
    return chosen


def _silenced(
    model: Bridge, prompts: Sequence[NeedlePrompt], sets: Iterable[frozenset[Head]]
) -> tuple[dict[frozenset[Head], Values], tuple[str, ...]]:
    """Log-probabilities of the answers with each set silenced."""
    names = {one: " ".join(sorted(head.label for head in one)) or PLAIN for one in sets}
    conditions = {
        name: zero_ablation(sorted(one), model=model) for one, name in names.items() if one
    }
    found = fed_answers(model, prompts, conditions)
    return {one: found.of(name) for one, name in names.items()}, found.needles
