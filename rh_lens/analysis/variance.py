"""Where the spread of head scores comes from: needles, or cells of one needle."""

import math
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from rh_lens.analysis.contexts import group_means, group_trials, trials_of
from rh_lens.checks import require_number, require_whole_number
from rh_lens.detection import RetrievalScores
from rh_lens.heads import Head
from rh_lens.representation import short_repr


@dataclass(frozen=True, eq=False)
class VarianceComponents:
    r"""Where the spread of head scores comes from: needles, or cells of one needle.

    The model, for each head: its score on needle $i$ and cell $j$ is $\mu + a_i + e_{ij}$, with
    needles $a_i$ drawn at random with variance $\sigma_a^2$, and cells and chance $e_{ij}$ drawn
    independently with variance $\sigma_e^2$, the same for all needles. The mean over N needles of C
    cells each then has variance $\sigma_a^2 / N + \sigma_e^2 / (N C)$.

    What it takes for granted: needles are a sample of those one has in mind; the cells of a needle
    are a sample of the grid, without effects of their own that all needles share; scores near 0
    and 1, which spread less, are as good as normal.

    Args:
        mean: Mean score.
        needle: Variance between needles; 0 where cells alone explain the spread.
        cell: Variance between the cells of one needle.
        n_needles: Needles in the pilot run.
        n_trials: Trials in the pilot run.
    """

    mean: Float[Tensor, "layer head"]
    needle: Float[Tensor, "layer head"]
    cell: Float[Tensor, "layer head"]
    n_needles: int
    n_trials: int

    __repr__ = short_repr

    def variance(self, n_needles: int, n_cells: int) -> Float[Tensor, "layer head"]:
        """Variance of each head's retrieval score in a run of so many needles and cells each.

        Raises:
            TypeError: An argument is of another type.
            ValueError: A number is below 1.
        """
        require_whole_number("n_needles", n_needles, at_least=1)
        require_whole_number("n_cells", n_cells, at_least=1)
        return self._variance(n_needles, n_needles * n_cells)

    def half_width(
        self, n_needles: int, n_cells: int, *, level: float = 0.95
    ) -> Float[Tensor, "layer head"]:
        """Half of each head's confidence interval, in units of the score.

        Student's t with `n_needles` - 1 degrees of freedom times the standard error: needles are
        the independent units. Infinite for a single needle.

        Raises:
            TypeError: An argument is of another type.
            ValueError: A number is out of range.
        """
        require_whole_number("n_needles", n_needles, at_least=1)
        require_whole_number("n_cells", n_cells, at_least=1)
        require_number("level", level, above=0, below=1)
        if n_needles < 2:
            return torch.full_like(self.mean, math.inf).where(~self.mean.isnan(), torch.nan)
        quantile = float(stats.t.ppf((1 + level) / 2, n_needles - 1))
        return quantile * self.variance(n_needles, n_cells).sqrt()

    def stability(self, n_needles: int, n_cells: int) -> float:
        """Correlation over heads to expect between two runs of so many other needles and cells.

        True variance over heads / (the same + mean error variance): the coefficient of
        generalisability (Cronbach et al. 1972). The true variance is that of the pilot's means less
        their own error, at least 0.

        Raises:
            TypeError: An argument is of another type.
            ValueError: A number is below 1.
        """
        pilot = self._variance(self.n_needles, self.n_trials)
        spread = float(self.mean[~self.mean.isnan()].var())
        true = max(spread - float(pilot.nanmean()), 0.0)
        error = float(self.variance(n_needles, n_cells).nanmean())
        return true / (true + error) if true + error > 0 else math.nan

    def _variance(self, n_needles: int, n_trials: int) -> Float[Tensor, "layer head"]:
        return self.needle / n_needles + self.cell / n_trials

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each head, best first.

        Returns:
            Columns `label`, `mean`, `needle`, `cell` (variances) and `needle_share` (of the
            variance of one trial that lies between needles; NaN without any).
        """
        n_layers, n_heads = self.mean.shape
        labels = [Head(layer, head).label for layer in range(n_layers) for head in range(n_heads)]
        columns = {
            name: getattr(self, name).flatten().numpy() for name in ("mean", "needle", "cell")
        }
        table = pd.DataFrame({"label": labels, **columns})
        table["needle_share"] = table["needle"] / (table["needle"] + table["cell"])
        return table.sort_values("mean", ascending=False, kind="stable", ignore_index=True)


def variance_components(scores: RetrievalScores, trials: pd.DataFrame) -> VarianceComponents:
    """Variance of each head's scores between needles and between the cells of one needle.

    One-way random-effects analysis of variance, for unequal numbers of cells too: the variance
    between needles is (mean square between - mean square within) / n0, at least 0 (Searle, Casella
    and McCulloch 1992, chapter 3).

    Args:
        scores: Scores of a pilot run.
        trials: One row a trial, from `trial_table` or a stored run.

    Returns:
        Components; NaN for heads that could not see the answer of two needles or more, with two
        trials or more for some of them.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are fewer than two needles, or no needle has two trials.
    """
    groups = group_trials(trials_of(scores, trials, ["needle"]), ["needle"])
    if groups.n < 2 or len(groups.code) == groups.n:
        raise ValueError(
            f"Expected two needles or more, one of them with two trials or more; found {groups.n} "
            f"needles in {len(groups.code)} trials. Make a pilot run with more of both."
        )
    values = scores.values.double()
    needle_means, count = group_means(values, groups)
    count = count.double()
    n = count.sum(dim=0)
    n_needles = (count > 0).sum(dim=0)
    mean = values.nanmean(dim=0)
    within = (values - needle_means[torch.from_numpy(groups.code)]).square().nansum(dim=0)
    between = (count * (needle_means - mean).square()).nansum(dim=0)
    cell = within / (n - n_needles)
    effective = (n - count.square().sum(dim=0) / n) / (n_needles - 1)
    needle = ((between / (n_needles - 1) - cell) / effective).clamp(min=0)
    known = (n_needles > 1) & (n > n_needles)
    return VarianceComponents(
        mean=mean,
        needle=needle.where(known, torch.nan),
        cell=cell.where(known, torch.nan),
        n_needles=groups.n,
        n_trials=len(groups.code),
    )
