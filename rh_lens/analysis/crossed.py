"""Scores whose needles and cells are crossed: components of variance, and error of a mean."""

from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.analysis.trial_groups import (
    CELL,
    Groups,
    ScoresLike,
    group_trials,
    scored_trials,
    trials_of,
)

# Spread below this is rounding: scores are shares of a few tokens.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class CrossedMoments:
    r"""Moments of each head's scores under $\mu + a_i + b_j + e_{ij}$: needle, cell, trial.

    Args:
        mean: Mean over the trials that the head could see, $\bar y$.
        needle: Moment estimate of the variance of $a$, which may be negative.
        cell: That of $b$; 0 where it cannot be told from $e$ (one cell, or no two needles share
            one).
        trial: That of $e$.
        n_needles: Needles seen.
        n_cells: Cells seen.
        n_trials: Trials seen, $N$.
        per_needle: $\sum_i N_i^2 / N$: trials that share a needle with the average trial.
        per_cell: The same for cells; 0 where `cell` cannot be told.
        needle_kurtosis: Excess kurtosis of the needles' means, at least 0.
        cell_kurtosis: Excess kurtosis of the cells' means, at least 0.
    """

    mean: Float[Tensor, "layer head"]
    needle: Float[Tensor, "layer head"]
    cell: Float[Tensor, "layer head"]
    trial: Float[Tensor, "layer head"]
    n_needles: Float[Tensor, "layer head"]
    n_cells: Float[Tensor, "layer head"]
    n_trials: Float[Tensor, "layer head"]
    per_needle: Float[Tensor, "layer head"]
    per_cell: Float[Tensor, "layer head"]
    needle_kurtosis: Float[Tensor, "layer head"]
    cell_kurtosis: Float[Tensor, "layer head"]

    def error(self) -> tuple[Float[Tensor, "layer head"], Float[Tensor, "layer head"]]:
        r"""Variance of the mean, and its degrees of freedom.

        $V = \sigma_a^2 \sum (N_i/N)^2 + \sigma_b^2 \sum (N_j/N)^2 + \sigma_e^2/N$, in a full grid
        $(MS_a + MS_b - MS_e)/N$, and at least what the pooled variance of trials gives. Degrees of
        freedom by Satterthwaite (1946), with those of a mean square of n means of excess kurtosis
        $\kappa$ taken as $(n-1)/(1 + \kappa (n-1)/2n)$: the spread of skewed scores, few high and
        many zero, is less well known than that of normal ones.

        Returns:
            Two tables; NaN for heads that saw fewer than two needles.
        """
        crossed = self.per_cell > 0
        n_a, n_b = self.n_needles - 1, (self.n_cells - 1).where(crossed, 0.0)
        n_e = self.n_trials - 1 - n_a - n_b
        ms_a = (self.per_needle * self.needle + self.trial).clamp(min=0)
        ms_b = (self.per_cell * self.cell + self.trial).clamp(min=0).where(crossed, 0.0)
        ms_e = self.trial.clamp(min=0)
        total = ms_a + ms_b - ms_e.where(crossed, 0.0)

        no_a, no_b = (self.needle < 0) * n_a, (self.cell < 0) * n_b
        n_pooled = n_e + no_a + no_b
        pooled = (ms_e * n_e + ms_a * no_a + ms_b * no_b) / n_pooled.clamp(min=1)
        known_a, known_b = _known(n_a, self.needle_kurtosis), _known(n_b, self.cell_kurtosis)
        noise = ms_a**2 / known_a + (ms_b**2 / known_b + ms_e**2 / n_e).where(crossed, 0.0)
        # One odd trial makes all mean squares equal: rounding must not decide.
        df = (total**2 / noise).where(total >= pooled * (1 - _ROUNDING), n_pooled)
        variance = total.maximum(pooled) / self.n_trials
        enough = self.n_needles > 1
        return variance.where(enough, torch.nan), df.clamp(min=1).where(enough, torch.nan)


def crossed_moments(scores: ScoresLike, trials: pd.DataFrame | None = None) -> CrossedMoments:
    """Moments of every head's scores by needle and by cell, for grids with gaps too.

    Sums of squares of needle means, of cell means and in all are set equal to what they are
    expected to be (Henderson 1953, method 1); in a full grid that is the analysis of variance.

    Args:
        scores: Scores of some trials; or a run, which brings its trials.
        trials: One row a trial, from `trial_table` or a stored run.

    Raises:
        ValueError: The table lacks a column or a trial.
    """
    scores, trials = scored_trials(scores, trials)
    table = trials_of(scores, trials, ["needle", *CELL])
    needles, cells = group_trials(table, ["needle"]), group_trials(table, CELL)
    values, mean = scores.values.double(), scores.mean().double()
    needle_means, n_i = _group_means(values, needles)
    cell_means, n_j = _group_means(values, cells)
    n = n_i.sum(dim=0)
    n_needles, n_cells = ((count > 0).sum(dim=0).double() for count in (n_i, n_j))
    crossed = (n_cells > 1) & (n - n_needles - n_cells + 1 >= 1)
    sums = [
        (n_i * (needle_means - mean).square()).nansum(dim=0),
        (n_j * (cell_means - mean).square()).nansum(dim=0).where(crossed, 0.0),
        (values - mean).square().nansum(dim=0),
    ]
    needle, cell, trial = _solve(_expected(values, needles, cells), sums, crossed)
    return CrossedMoments(
        mean=mean,
        needle=needle,
        cell=cell,
        trial=trial,
        n_needles=n_needles,
        n_cells=n_cells,
        n_trials=n,
        per_needle=n_i.square().sum(dim=0) / n,
        per_cell=(n_j.square().sum(dim=0) / n).where(crossed, 0.0),
        needle_kurtosis=_excess_kurtosis(needle_means),
        cell_kurtosis=_excess_kurtosis(cell_means),
    )


def _expected(
    values: Float[Tensor, "trial layer head"], needles: Groups, cells: Groups
) -> list[list[Tensor]]:
    """What each component adds to the sums of squares: of needles, of cells, in all."""
    code = needles.code * cells.n + cells.code
    both = Groups(code, tuple(range(needles.n * cells.n)))
    count = _group_means(values, both)[1].unflatten(0, (needles.n, cells.n))
    n_i, n_j, n = count.sum(dim=1), count.sum(dim=0), count.sum(dim=(0, 1))
    square = count.square()
    k_a, k_b = n_i.square().sum(dim=0) / n, n_j.square().sum(dim=0) / n
    n_needles, n_cells = (n_i > 0).sum(dim=0), (n_j > 0).sum(dim=0)
    return [
        [n - k_a, (square.sum(dim=1) / n_i).nansum(dim=0) - k_b, n_needles - 1],
        [(square.sum(dim=0) / n_j).nansum(dim=0) - k_a, n - k_b, n_cells - 1],
        [n - k_a, n - k_b, n - 1],
    ]


def _group_means(
    values: Float[Tensor, "trial layer head"], groups: Groups
) -> tuple[Float[Tensor, "group layer head"], Float[Tensor, "group layer head"]]:
    """Mean and number of the trials of each group that are not NaN, in plain fp64.

    Exact means, as `group_means` takes them, make no difference to a sum of squares.
    """
    code, seen = torch.from_numpy(groups.code), ~values.isnan()
    empty = values.new_zeros((groups.n, *values.shape[1:]))
    count = empty.index_add(0, code, seen.double())
    return empty.index_add(0, code, values.nan_to_num(nan=0.0)) / count, count


def _solve(
    expected: list[list[Tensor]], sums: list[Tensor], crossed: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Components whose expected sums of squares are the sums; the cells' 0 where not crossed."""
    matrix = torch.stack([torch.stack(row, dim=-1) for row in expected], dim=-2)
    keep = torch.tensor([True, False, True]) | crossed[..., None]
    matrix = (matrix * keep[..., None] * keep[..., None, :]).nan_to_num(nan=0.0)
    found = (torch.linalg.pinv(matrix) @ torch.stack(sums, dim=-1)[..., None]).squeeze(-1)
    size = (sums[2] / expected[2][2])[..., None]
    found = found.where(found.abs() > _ROUNDING * size, 0.0)
    return found[..., 0], found[..., 1], found[..., 2]


def _excess_kurtosis(means: Float[Tensor, "group layer head"]) -> Float[Tensor, "layer head"]:
    """Fourth moment over the squared second, less 3, at least 0; 0 without spread."""
    away = means - means.nanmean(dim=0)
    second, fourth = away.square().nanmean(dim=0), away.pow(4).nanmean(dim=0)
    ratio = (fourth / second.square() - 3).clamp(min=0)
    return ratio.where(second > _ROUNDING**2, 0.0)


def _known(n: Tensor, kurtosis: Tensor) -> Tensor:
    """Degrees of freedom of a mean square of n + 1 means with this excess kurtosis."""
    return n / (1 + kurtosis * n / (2 * (n + 1)))
