"""What every calibration test shares: rates with their simulation error, and simulated scores.

A rate is a false-positive rate, a power or a coverage, estimated from repeats that are independent
of each other (or from heads of one simulated run that were drawn independently).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats
from score_cases import grid_table


@dataclass(frozen=True)
class Rate:
    """How often something happened in a simulation.

    Args:
        method: The function or p-value that was tried.
        case: The null, or the truth, that it was tried on.
        n_needles: Needles in each simulated run.
        hits: Simulations in which it happened (p at or below the level; truth inside).
        n: Simulations.
        what: "level", "power" or "coverage".
    """

    method: str
    case: str
    n_needles: int
    hits: int
    n: int
    what: str

    @property
    def value(self) -> float:
        """The rate."""
        return self.hits / self.n

    def error(self, truth: float | None = None) -> float:
        """Standard error of the rate, of the simulation alone, at the rate itself or at `truth`."""
        rate = self.value if truth is None else truth
        return math.sqrt(rate * (1 - rate) / self.n)

    def at_most(self, level: float) -> bool:
        """Whether it is no more than `level`, but for simulation error (3 standard errors)."""
        return self.value <= level + 3 * self.error(level)

    def at_least(self, level: float) -> bool:
        """Whether it is no less than `level`, but for simulation error (3 standard errors)."""
        return self.value >= level - 3 * self.error(level)

    def within(self, low: float, high: float) -> bool:
        """Whether it lies between the two, but for simulation error (3 standard errors)."""
        return self.at_least(low) and self.at_most(high)


def describe_rates(rates: list[Rate]) -> str:
    """One line a rate: method, null or truth, needles, rate, simulation error, simulations."""
    rows = [
        {
            "method": rate.method,
            "null or truth": rate.case,
            "needles": rate.n_needles,
            "what": rate.what,
            "rate": f"{rate.value:.3f}",
            "error": f"{rate.error():.3f}",
            "simulations": rate.n,
        }
        for rate in sorted(rates, key=lambda rate: (rate.method, rate.case, rate.n_needles))
    ]
    return pd.DataFrame(rows).to_string(index=False)


@dataclass(frozen=True)
class Spread:
    """Standard deviations of what adds up to a score; cells are shared by all needles."""

    needle: float = 0.0
    cell: float = 0.0
    trial: float = 0.0


def normal_scores(
    rng: np.random.Generator,
    n_needles: int,
    n_cells: int,
    spread: Spread,
    *,
    n_heads: int = 50,
    mean: float = 0.5,
) -> Float[np.ndarray, "trial layer head"]:
    """Scores mean + needle effect + cell effect + noise of one layer, every head on its own.

    In the order of `crossed_table(n_needles, n_cells)`: all needles of a cell, then the next cell.
    """
    needle = rng.normal(0, spread.needle, (1, n_needles, n_heads))
    cell = rng.normal(0, spread.cell, (n_cells, 1, n_heads))
    trial = rng.normal(0, spread.trial, (n_cells, n_needles, n_heads))
    return (mean + needle + cell + trial).reshape(n_cells * n_needles, 1, n_heads)


def needle_means(
    rng: np.random.Generator, kind: str, n_needles: int, n_heads: int
) -> tuple[Float[np.ndarray, "needle head"], float]:
    """Mean score of each needle, skewed as scores are, and the mean of all needles there are.

    Args:
        rng: Source of the draws.
        kind: "beta MEAN RHO" for a beta distribution with variance RHO MEAN (1 - MEAN); "zeros
            SHARE MEAN" for needles that are 0 but for a share with a beta distribution of that
            mean; "bundled HEAD" for needles drawn from those of a head of the bundled model.
        n_needles: Needles in each run.
        n_heads: Heads drawn independently.
    """
    shape = (n_needles, n_heads)
    name, *rest = kind.split()
    if name == "bundled":
        population = np.array(BUNDLED[rest[0]])
        return rng.choice(population, shape), float(population.mean())
    first, second = map(float, rest)
    if name == "beta":
        size = 1 / second - 1
        return rng.beta(first * size, (1 - first) * size, shape), first
    active = rng.random(shape) < first
    return active * rng.beta(5 * second, 5 * (1 - second), shape), first * second


def skewed_scores(
    rng: np.random.Generator, kind: str, n_needles: int, n_cells: int, *, n_heads: int = 50
) -> tuple[Float[np.ndarray, "trial layer head"], float]:
    """Shares of answers of five tokens, each copied with its needle's chance, and their mean."""
    means, truth = needle_means(rng, kind, n_needles, n_heads)
    copied = rng.binomial(5, means, (n_cells, n_needles, n_heads))
    return (copied / 5).reshape(n_cells * n_needles, 1, n_heads), truth


def dependent_heads(
    rng: np.random.Generator, means: list[float], n_needles: int, n_cells: int, rho: float = 0.1
) -> Float[np.ndarray, "trial layer head"]:
    """As `skewed_scores`, beta, of heads with these means that like the same needles.

    Needles' effects on any two heads correlate 0.5 (Gaussian copula).
    """
    shared, own = rng.normal(size=(n_needles, 1)), rng.normal(size=(n_needles, len(means)))
    place = stats.norm.cdf((shared + own) / math.sqrt(2))
    mean, size = np.array(means), 1 / rho - 1
    chance = stats.beta.ppf(place, mean * size, (1 - mean) * size)
    copied = rng.binomial(5, chance, (n_cells, n_needles, len(means)))
    return (copied / 5).reshape(n_cells * n_needles, 1, len(means))


BUNDLED = {
    "L2H5": [1, 1, 0.878, 1, 1, 1, 1, 0.996, 1, 1, 1, 1],
    "L2H3": [1, 1, 1, 0.992, 0.973, 1, 1, 0.985, 1, 0.833, 0.893, 1],
    "L1H6": [0.067, 0.08, 0, 0, 0.16, 0, 0.061, 0, 0.027, 0.022, 0, 0.038],
    "L2H0": [0, 0, 0.011, 0.017, 0.013, 0, 0.006, 0, 0, 0, 0, 0.038],
}
"""Scores of four heads of the bundled model on each of its twelve needles (128 to 512 tokens)."""


def crossed_table(n_needles: int, n_cells: int) -> pd.DataFrame:
    """Trials of every needle in every cell."""
    return grid_table(range(n_needles), lengths=range(1, n_cells + 1), depths=(0.5,))


def stranger_pair(
    rng: np.random.Generator, kind: str, *, n_layers: int = 4, n_groups: int = 4
) -> tuple[Float[np.ndarray, "layer head"], Float[np.ndarray, "layer head"]]:
    """Mean scores of two models that have nothing to do with each other, two heads a group.

    Args:
        rng: Source of the draws.
        kind: "single heads": four strong heads anywhere; "pairs": both heads of two groups
            anywhere; "pairs in one layer": the same, of layer 2 in both models; "pairs in a layer
            each": of one layer, each model choosing its own.
        n_layers: Layers.
        n_groups: Key-value groups in a layer.
    """
    return _stranger(rng, kind, n_layers, n_groups), _stranger(rng, kind, n_layers, n_groups)


def _stranger(
    rng: np.random.Generator, kind: str, n_layers: int, n_groups: int
) -> Float[np.ndarray, "layer head"]:
    means = rng.beta(0.5, 30, (n_layers, n_groups, 2))
    if kind == "single heads":
        strong = rng.choice(n_layers * n_groups * 2, 4, replace=False)
        means.reshape(-1)[strong] = rng.beta(9, 2, 4)
        return means.reshape(n_layers, -1)
    layers = {"pairs": range(n_layers), "pairs in one layer": [2]}.get(
        kind, [int(rng.integers(n_layers))]
    )
    places = [layer * n_groups + group for layer in layers for group in range(n_groups)]
    groups = rng.choice(places, 2, replace=False)
    means.reshape(-1, 2)[groups] = rng.beta(9, 2, (2, 1)) * rng.uniform(0.9, 1, (2, 2))
    return means.reshape(n_layers, -1)
