"""Confidence sequences: bounds on many means that hold however long one looks."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rh_lens.checks import require_number, require_tensor, require_whole_number

# Scores that are tried out, beside the threshold: bounds are as fine as this.
N_GRID = 200
# Share of the largest bet, which could lose everything.
MOST = 0.9


@dataclass(frozen=True, eq=False)
class ConfidenceBounds:
    """Where the scores of all heads are, after some units.

    Args:
        low: Lower bounds, in [0, 1]; NaN for a head of which no trial counted.
        high: Upper bounds.
        above: Heads that are shown to be at the threshold or above it.
        below: Heads that are shown to be below it.
    """

    low: Float[Tensor, " head"]
    high: Float[Tensor, " head"]
    above: Bool[Tensor, " head"]
    below: Bool[Tensor, " head"]


class ConfidenceSequence:
    r"""Bounds on the scores of all heads at once, which hold after every unit.

    A head's score is $\sum_i T_i / \sum_i C_i$ over all units, with $T_i$ the sum of the scores of
    a unit's trials that count and $C_i$ their number, at most $n$. Whether it is $m$ is bet on:
    with $y_i = (T_i - m C_i) / n \in [-m, 1 - m]$, the wealth

    $$W_t^\pm(m) = \prod_{i \le t} (1 \pm \lambda_i^\pm (y_i - \mu_i))$$

    is a martingale if the score is $m$, where $\mu_i$ is the mean of $y_i$ given the units before:
    0 of endless many units, and $-\sum_{j < i} y_j / (N - i + 1)$ of $N$ drawn without replacement.
    By Ville's inequality it ever exceeds $2 / \alpha$ with a probability of $\alpha / 2$ at most;
    an $m$ at which either does is ruled out for good (the hedged capital process of Waudby-Smith
    and Ramdas 2024, arXiv:2010.09686). All heads share $\alpha$ (Bonferroni), so that all bounds
    hold together and after every unit. Bets are theirs too, from the units before:
    $\lambda_i = \sqrt{2 \log(2/\alpha) / (\hat\sigma^2_{i-1} i \log(1 + i))}$, at most 0.9 of
    what could lose everything. Nothing is assumed of scores but their range, and that units come in
    random order.

    Args:
        n_heads: Heads.
        n_most: Most trials of a unit.
        n_units: Units that there are; None: endless many, of which those that come are a sample.
        threshold: A score that is among those tried out.
        level: Probability with which all bounds hold, after every unit.

    Raises:
        TypeError: A number is none.
        ValueError: There are no heads, no trials or no units, or the level is not between 0 and 1.
    """

    def __init__(
        self, n_heads: int, *, n_most: int, n_units: int | None, threshold: float, level: float
    ) -> None:
        require_whole_number("n_heads", n_heads, at_least=1)
        require_whole_number("n_most", n_most, at_least=1)
        if n_units is not None:
            require_whole_number("n_units", n_units, at_least=1)
        require_number("threshold", threshold, at_least=0, at_most=1)
        require_number("level", level, above=0, below=1)
        self.n_units, self.n_seen, self._n_most = n_units, 0, n_most
        self._threshold = threshold
        self._limit = math.log(2 * n_heads / (1 - level))
        grid = torch.linspace(0, 1, N_GRID + 1, dtype=torch.float64)
        self._tried = torch.cat([grid, grid.new_tensor([threshold])]).unique()
        self._sums = torch.zeros(2, n_heads, dtype=torch.float64)
        shape = (len(self._tried), n_heads)
        self._above, self._below, self._most, self._so_far = torch.zeros(
            4, *shape, dtype=torch.float64
        )
        self._squares, self._mean = grid.new_full((n_heads,), 0.25), grid.new_full((n_heads,), 0.5)

    def add(self, totals: Float[Tensor, " head"], counts: Float[Tensor, " head"]) -> None:
        """Take the next unit into account.

        Args:
            totals: Sum of the scores of its trials, in [0, 1] each.
            counts: Trials of it that count.

        Raises:
            TypeError: They are no tensors.
            ValueError: There is not one for each head, or all units that there are have come.
        """
        for name, value in (("totals", totals), ("counts", counts)):
            require_tensor(name, value, ("head",))
            if value.shape != self._mean.shape:
                raise ValueError(
                    f"Expected {name} of {len(self._mean)} heads; found {len(value)}. Pass a "
                    "number for each."
                )
        if self.n_units is not None and self.n_seen >= self.n_units:
            raise ValueError(
                f"Expected no more than the {self.n_units} units that there are; found another. "
                "Make a sequence with as many units as there are, or with n_units=None."
            )
        self._sums += torch.stack([totals, counts]).double()
        total, count = totals.double() / self._n_most, counts.double() / self._n_most
        value = total - self._tried[:, None] * count
        self._bet(value)
        self._so_far += value
        self.n_seen += 1
        self._mean = (self._mean * self.n_seen + total) / (self.n_seen + 1)
        self._squares = self._squares + (total - self._mean) ** 2

    def bounds(self) -> ConfidenceBounds:
        """Bounds for each head; after all units that there are, the scores themselves."""
        totals, counts = self._sums
        if self.n_seen == self.n_units:
            scores = totals / counts
            at_least = scores >= self._threshold
            return ConfidenceBounds(scores, scores, at_least, scores < self._threshold)
        ruled_out = self._most >= self._limit
        # Where nothing is left, which the level allows to happen, the least refuted score is.
        ruled_out = ruled_out.scatter(0, self._most.argmin(dim=0, keepdim=True), False)
        left, n_tried = (~ruled_out).long(), len(self._tried)
        first, last = left.argmax(dim=0), n_tried - 1 - left.flip(0).argmax(dim=0)
        # Between a score that was ruled out and the next, others were not tried.
        low = self._tried[(first - 1).clamp(min=0)]
        high = self._tried[(last + 1).clamp(max=n_tried - 1)]
        return ConfidenceBounds(
            low=low.where(counts > 0, torch.nan),
            high=high.where(counts > 0, torch.nan),
            above=(self._tried[first] > self._threshold) & (counts > 0),
            below=(self._tried[last] < self._threshold) & (counts > 0),
        )

    def _bet(self, value: Float[Tensor, "score head"]) -> None:
        """Bet on the next unit with what is known from those before."""
        tried, expected = self._tried[:, None], torch.zeros_like(value)
        if self.n_units is not None:
            expected = -self._so_far / (self.n_units - self.n_seen)
        bet = torch.sqrt(2 * self._limit / (self._squares * math.log(self.n_seen + 2)))
        for wealth, sign, room in (
            (self._above, 1, tried + expected),
            (self._below, -1, 1 - tried - expected),
        ):
            size = torch.minimum(bet.expand_as(room), MOST / room.clamp(min=1e-12))
            wealth += torch.log1p((sign * size * (value - expected)).clamp(min=-MOST))
            # Nothing that is left could make up such a mean.
            wealth[room < -1e-12] = math.inf
        self._most = torch.maximum(self._most, torch.maximum(self._above, self._below))
