"""How many needles and cells a wanted precision needs."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch

from rh_lens.analysis.variance import VarianceComponents
from rh_lens.checks import require_list, require_number, require_type, require_whole_number
from rh_lens.heads import HeadsLike, as_heads

CELL_COUNTS = (1, 2, 3, 4, 6, 8, 12, 20, 50, 200)
_MOST_NEEDLES = 10_000
_REMEDY = "Make them with variance_components(scores, trials)."


@dataclass(frozen=True)
class SamplingPlan:
    """Runs that reach a wanted precision.

    Args:
        wanted: What was asked for, in words.
        table: One row for each number of cells: `n_cells` a needle, `n_needles` that are then
            enough, `n_trials` (their product) and `reached`, the precision to expect; sizes beyond
            10,000 needles are left out.
    """

    wanted: str
    table: pd.DataFrame

    def cheapest(self) -> pd.Series:
        """The row with the fewest trials, and among those the fewest needles.

        Raises:
            ValueError: No size reaches what was wanted.
        """
        if self.table.empty:
            raise ValueError(
                f"Expected a size of run that gives {self.wanted}; found none up to "
                f"{_MOST_NEEDLES} needles. Ask for less."
            )
        return self.table.sort_values(["n_trials", "n_needles"]).iloc[0]

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each number of cells: a copy of the table."""
        return self.table.copy()


def plan_precision(
    components: VarianceComponents,
    half_width: float,
    *,
    heads: HeadsLike | None = None,
    n_cells: Sequence[int] = CELL_COUNTS,
    level: float = 0.95,
) -> SamplingPlan:
    """Runs in which the confidence interval of every chosen head is narrow enough.

    Args:
        components: From `variance_components` on a pilot run; see there for the model.
        half_width: Widest half of an interval allowed, in units of the score.
        heads: Which heads; None: all that have components.
        n_cells: Numbers of cells a needle to plan for.
        level: Coverage of the interval.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The half-width is not above 0, or none of the heads has components.

    Examples:
        >>> components = variance_components(result)
        >>> plan_precision(components, half_width=0.2, heads=heads).cheapest()
        n_cells      1.000000
        n_needles    4.000000
        n_trials     4.000000
        reached      0.132602
        Name: 0, dtype: float64
    """
    require_type("components", components, VarianceComponents, remedy=_REMEDY)
    require_number("half_width", half_width, above=0, remedy="Try 0.05.")
    require_number("level", level, above=0, below=1)
    chosen = _select(components, heads)

    def reached(n_needles: int, cells: int) -> float:
        return float(chosen.half_width(n_needles, cells, level=level).max())

    wanted = f"{100 * level:g} % intervals of at most +-{half_width:g}"
    return _plan(wanted, n_cells, reached, lambda value: value <= half_width)


def plan_stability(
    components: VarianceComponents,
    correlation: float,
    *,
    n_cells: Sequence[int] = CELL_COUNTS,
) -> SamplingPlan:
    """Runs that would agree with a repetition on other needles and cells.

    Args:
        components: From `variance_components` on a pilot run; see there for the model.
        correlation: Least correlation over heads wanted between two such runs, between 0 and 1.
        n_cells: Numbers of cells a needle to plan for.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The correlation is not between 0 and 1.

    Examples:
        >>> plan_stability(variance_components(result), correlation=0.95).cheapest()
        n_cells      1.000000
        n_needles    2.000000
        n_trials     2.000000
        reached      0.990314
        Name: 0, dtype: float64
    """
    require_type("components", components, VarianceComponents, remedy=_REMEDY)
    require_number("correlation", correlation, above=0, below=1, remedy="Try 0.99.")
    wanted = f"a correlation of at least {correlation:g} between two runs"
    return _plan(wanted, n_cells, components.stability, lambda value: value >= correlation)


def _plan(
    wanted: str,
    n_cells: Sequence[int],
    reached: Callable[[int, int], float],
    enough: Callable[[float], bool],
) -> SamplingPlan:
    """The fewest needles that are enough, for each number of cells."""
    for cells in require_list("n_cells", n_cells, int, at_least=1):
        require_whole_number("n_cells", cells, at_least=1)
    sizes = range(2, _MOST_NEEDLES + 1)
    rows = []
    for cells in n_cells:

        def enough_needles(n: int, cells: int = cells) -> bool:
            return enough(reached(n, cells))

        place = bisect_left(sizes, True, key=enough_needles)
        if place < len(sizes):
            n = sizes[place]
            rows.append((cells, n, n * cells, reached(n, cells)))
    return SamplingPlan(
        wanted, pd.DataFrame(rows, columns=["n_cells", "n_needles", "n_trials", "reached"])
    )


def _select(components: VarianceComponents, heads: HeadsLike | None) -> VarianceComponents:
    """Components of some heads only, those without any left out."""
    chosen = ~components.needle.isnan()
    if heads is not None:
        wanted = torch.zeros_like(chosen)
        n_layers, n_heads = chosen.shape
        for head in as_heads(heads):
            if head.layer >= n_layers or head.head >= n_heads:
                raise ValueError(
                    f"Expected heads of the pilot's {n_layers} layers of {n_heads}; found {head}. "
                    "Leave it out."
                )
            wanted[head.layer, head.head] = True
        chosen &= wanted
    if not chosen.any():
        raise ValueError(
            "Expected heads with variance components; found none among those asked for. Choose "
            "heads that could see the answer."
        )
    names = ("mean", "needle", "cell", "trial")
    parts = {name: getattr(components, name)[chosen][None] for name in names}
    return replace(components, **parts)
