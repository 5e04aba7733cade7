"""Where the spread of head scores comes from: needles, cells of the grid, or single trials."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from rh_lens.analysis.crossed import crossed_moments
from rh_lens.analysis.trial_groups import ScoresLike, scored_trials
from rh_lens.checks import require_number, require_whole_number
from rh_lens.heads import every_head
from rh_lens.representation import short_repr


@dataclass(frozen=True, eq=False)
class VarianceComponents:
    r"""Where the spread of head scores comes from: needles, cells of the grid, or single trials.

    The model, for each head: its score on needle $i$ and cell $j$ (length x depth, shared by all
    needles) is $\mu + a_i + b_j + e_{ij}$, all drawn independently, with variances $\sigma_a^2$,
    $\sigma_b^2$ and $\sigma_e^2$. The mean over N needles in C cells each then has variance
    $\sigma_a^2 / N + \sigma_b^2 / C + \sigma_e^2 / (N C)$.

    What it takes for granted: needles are a sample of those one has in mind, and cells of the grid
    one has in mind; scores near 0 and 1, which spread less, are as good as normal
    (`score_intervals` does without that).

    Args:
        mean: Mean score.
        needle: Variance between needles; 0 where the rest explains the spread.
        cell: Variance between cells; 0 likewise, and where the pilot had one cell.
        trial: Variance of single trials beyond those.
        n_needles: Needles in the pilot run.
        n_cells: Cells in the pilot run.
        n_trials: Trials in the pilot run.
    """

    mean: Float[Tensor, "layer head"]
    needle: Float[Tensor, "layer head"]
    cell: Float[Tensor, "layer head"]
    trial: Float[Tensor, "layer head"]
    n_needles: int
    n_cells: int
    n_trials: int

    __repr__ = short_repr

    def variance(self, n_needles: int, n_cells: int) -> Float[Tensor, "layer head"]:
        """Variance of each head's retrieval score in a run of so many needles and cells.

        Raises:
            TypeError: An argument is of another type.
            ValueError: A number is below 1.
        """
        require_whole_number("n_needles", n_needles, at_least=1)
        require_whole_number("n_cells", n_cells, at_least=1)
        return self._variance(n_needles, n_cells, n_needles * n_cells)

    def half_width(
        self, n_needles: int, n_cells: int, *, level: float = 0.95
    ) -> Float[Tensor, "layer head"]:
        """Half of each head's confidence interval, in units of the score.

        Student's t times the standard error, with Satterthwaite's degrees of freedom, as in
        `score_intervals` (whose intervals near 0 and 1 have unequal halves of about this mean).
        Infinite for a single needle, and for a single cell where cells differ.

        Raises:
            TypeError: An argument is of another type.
            ValueError: A number is out of range.
        """
        require_whole_number("n_needles", n_needles, at_least=1)
        require_whole_number("n_cells", n_cells, at_least=1)
        require_number("level", level, above=0, below=1)
        cells_unknown = (self.cell > 0) & (n_cells < 2)
        if n_needles < 2:
            cells_unknown = torch.ones_like(cells_unknown)
            n_needles = 2
        df = self._degrees_of_freedom(n_needles, n_cells)
        quantile = torch.from_numpy(np.asarray(stats.t.ppf((1 + level) / 2, df.numpy())))
        width = quantile * self.variance(n_needles, n_cells).sqrt()
        return width.masked_fill(cells_unknown & ~self.mean.isnan(), math.inf)

    def stability(self, n_needles: int, n_cells: int) -> float:
        """Correlation over heads to expect between two runs of so many other needles and cells.

        True variance over heads / (the same + mean error variance): the coefficient of
        generalisability (Cronbach et al. 1972). The true variance is that of the pilot's means less
        their own error, at least 0.

        Raises:
            TypeError: An argument is of another type.
            ValueError: A number is below 1.
        """
        pilot = self._variance(self.n_needles, self.n_cells, self.n_trials)
        spread = float(self.mean[~self.mean.isnan()].var())
        true = max(spread - float(pilot.nanmean()), 0.0)
        error = float(self.variance(n_needles, n_cells).nanmean())
        return true / (true + error) if true + error > 0 else math.nan

    def _variance(self, n_needles: int, n_cells: int, n_trials: int) -> Float[Tensor, "layer head"]:
        return self.needle / n_needles + self.cell / n_cells + self.trial / n_trials

    def _degrees_of_freedom(self, n_needles: int, n_cells: int) -> Float[Tensor, "layer head"]:
        """Satterthwaite's, of a sum of mean squares; one no larger than the trials' is pooled."""
        with_needle = (self.needle > 0) | (n_cells == 1)
        with_cell = (self.cell > 0) & (n_cells > 1)
        n_a, n_b = n_needles - 1, n_cells - 1
        needle = (n_cells * self.needle + self.trial) * with_needle
        cell = (n_needles * self.cell + self.trial) * with_cell
        trial = self.trial * (1 - with_needle.double() - with_cell.double())
        n_trial = n_a * n_b + n_a * ~with_needle + n_b * ~with_cell
        noise = needle**2 / n_a + cell**2 / max(n_b, 1) + trial**2 / n_trial.clamp(min=1)
        # Without any spread every quantile is as good as another.
        return ((needle + cell + trial) ** 2 / noise).nan_to_num(nan=1.0)

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each head, best first.

        Returns:
            Columns `label`, `mean`, `needle`, `cell`, `trial` (variances) and `needle_share` (of
            the variance of one trial that lies between needles; NaN without any).
        """
        n_layers, n_heads = self.mean.shape
        labels = [head.label for head in every_head(n_layers, n_heads)]
        names = ("mean", "needle", "cell", "trial")
        columns = {name: getattr(self, name).flatten().numpy() for name in names}
        table = pd.DataFrame({"label": labels, **columns})
        whole = table["needle"] + table["cell"] + table["trial"]
        table["needle_share"] = table["needle"] / whole
        return table.sort_values("mean", ascending=False, kind="stable", ignore_index=True)


def variance_components(
    scores: ScoresLike, trials: pd.DataFrame | None = None
) -> VarianceComponents:
    """Variance of each head's scores between needles, between cells, and between trials.

    Moment estimates of crossed random effects, for grids with gaps too (see `crossed_moments`), at
    least 0.

    Args:
        scores: Scores of a pilot run; or a run, which brings its trials.
        trials: One row a trial, from `trial_table` or a stored run.

    Returns:
        Components; NaN for heads that could not see the answer of two needles or more, with two
        trials or more for some of them.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are fewer than two needles, or no needle has two trials.

    Examples:
        >>> found = variance_components(result)
        >>> found.needle[2].round(decimals=4)
        tensor([0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0069, 0.0000, 0.0000],
               dtype=torch.float64)
    """
    scores, trials = scored_trials(scores, trials)
    found = crossed_moments(scores, trials)
    n_needles, n_trials = int(found.n_needles.max()), len(scores.trials)
    if n_needles < 2 or n_trials == n_needles:
        raise ValueError(
            f"Expected two needles or more, one of them with two trials or more; found {n_needles} "
            f"needles in {n_trials} trials. Make a pilot run with more of both."
        )
    known = (found.n_needles > 1) & (found.n_trials > found.n_needles)
    needle, cell, trial = (
        part.clamp(min=0).where(known, torch.nan)
        for part in (found.needle, found.cell, found.trial)
    )
    n_cells = int(found.n_cells.max())
    return VarianceComponents(found.mean, needle, cell, trial, n_needles, n_cells, n_trials)
