"""A statistic of every head beside what a null hypothesis gives: p-values and chance levels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_list, require_number, require_type
from rh_lens.detection import RetrievalResult, RetrievalScores
from rh_lens.heads import Head
from rh_lens.representation import html_table

# Statistics that differ by less are equal: they are means of a few hundred numbers.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class HeadNull:
    r"""A statistic of every head, and draws of it under a null hypothesis.

    Args:
        name: Which null, such as "random spans".
        observed: The statistic; NaN for heads that have none.
        draws: The same under the null, one table a draw.
        chance: What the null gives on average, in the unit of a score.
        pooled: Whether under the null all heads of a layer are alike, so that the draws of all of
            them are draws for each.
        n_possible: How many draws differ; few needles allow few. Infinite: as good as endless many.

    Raises:
        ValueError: There is no draw, or the shapes differ.
    """

    name: str
    observed: Float[Tensor, "layer head"]
    draws: Float[Tensor, "draw layer head"]
    chance: Float[Tensor, "layer head"]
    pooled: bool = False
    n_possible: float = math.inf

    def __post_init__(self) -> None:
        shapes = {self.observed.shape, self.draws.shape[1:], self.chance.shape}
        if len(shapes) > 1 or not len(self.draws):
            raise ValueError(
                f"Expected one draw or more of {list(self.observed.shape)} heads, and as many "
                f"chance levels; found draws {list(self.draws.shape)} and chance "
                f"{list(self.chance.shape)}. Draw the null for the same heads."
            )

    def __repr__(self) -> str:
        n_heads = int((~self.observed.isnan()).sum())
        return (
            f"HeadNull({self.name!r}: {n_heads} heads, {len(self.draws)} draws; chance up to "
            f"{float(self.chance.nan_to_num(0).max()):.3f}, {len(self.heads())} heads above it)"
        )

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), repr(self))

    @property
    def smallest_pvalue(self) -> float:
        """The smallest corrected p-value within reach: 1 / (draws + 1), or 1 / those possible."""
        return max(1 / (len(self.draws) + 1), 1 / self.n_possible)

    def pvalues(self) -> Float[Tensor, "layer head"]:
        r"""$(b + 1) / (n + 1)$ with $b$ of the $n$ draws as high as the observed, or higher.

        Phipson and Smyth 2010 (arXiv:1603.05766). One head at a time; NaN where there is none.
        """
        draws = self._own_draws()
        as_high = (draws >= self.observed - _ROUNDING).sum(dim=0)
        return ((as_high.double() + 1) / (len(draws) + 1)).where(~self.observed.isnan(), torch.nan)

    def corrected(self) -> Float[Tensor, "layer head"]:
        """P-values that hold over all heads: of each draw, its highest head is compared.

        The chance that any head at all is called above chance wrongly is at most the level
        (Westfall and Young 1993, single step), however the heads depend on each other.
        """
        highest = self.draws.nan_to_num(-torch.inf).flatten(1).max(dim=1).values
        as_high = (highest[:, None, None] >= self.observed - _ROUNDING).sum(dim=0)
        return ((as_high.double() + 1) / (len(highest) + 1)).where(
            ~self.observed.isnan(), torch.nan
        )

    def heads(self, level: float = 0.05) -> list[Head]:
        """Heads above chance by the corrected p-value, highest statistic first.

        Raises:
            TypeError: The level is no number.
            ValueError: It is not between 0 and 1.
        """
        require_number("level", level, above=0, below=1)
        places = (self.corrected() <= level).nonzero().tolist()
        places.sort(key=lambda place: -float(self.observed[tuple(place)]))
        return [Head(*place) for place in places]

    def to_dataframe(self) -> pd.DataFrame:
        """One row a head, highest first: layer, head, label, observed, chance, p, p_corrected."""
        places = (~self.observed.isnan()).nonzero().tolist()
        p, corrected = self.pvalues(), self.corrected()
        table = pd.DataFrame(
            [
                {
                    "layer": layer,
                    "head": head,
                    "label": Head(layer, head).label,
                    "observed": float(self.observed[layer, head]),
                    "chance": float(self.chance[layer, head]),
                    "p": float(p[layer, head]),
                    "p_corrected": float(corrected[layer, head]),
                }
                for layer, head in places
            ]
        )
        return table.sort_values("observed", ascending=False, kind="stable", ignore_index=True)

    def _own_draws(self) -> Float[Tensor, "draw layer head"]:
        """Draws for each head; where heads of a layer are alike, those of all of them."""
        if not self.pooled:
            return self.draws
        n_draws, n_layers, n_heads = self.draws.shape
        together = self.draws.transpose(1, 2).reshape(n_draws * n_heads, n_layers, 1)
        return together.nan_to_num(-torch.inf).expand(-1, -1, n_heads)


def with_nulls(
    result: RetrievalResult | RetrievalScores, nulls: Sequence[HeadNull]
) -> pd.DataFrame:
    """The table of a result with a chance level and two p-values for each null.

    Args:
        result: A detection, or scores of it.
        nulls: Of the same model.

    Returns:
        `result.to_dataframe()` with the columns `chance: NAME`, `p: NAME` and `p_corrected: NAME`
        for each null; the correction is over heads, not over nulls.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A null is of a model with other layers or heads.

    Examples:
        >>> null = random_spans(record_trials(model, trials), n_draws=19)
        >>> with_nulls(result, [null]).columns.tolist()[-3:]
        ['chance: random spans', 'p: random spans', 'p_corrected: random spans']
    """
    kinds = (RetrievalResult, RetrievalScores)
    require_type("result", result, kinds, remedy="Pass what detect_retrieval_heads returned.")
    table = result.to_dataframe()
    scores = result.scores if isinstance(result, RetrievalResult) else result
    for null in require_list("nulls", nulls, HeadNull, at_least=1):
        if null.observed.shape != scores.values.shape[1:]:
            raise ValueError(
                f"Expected nulls of {list(scores.values.shape[1:])} heads, as the result has; "
                f"found {list(null.observed.shape)} in {null.name!r}. Draw it with this model."
            )
        place = table["layer"].to_numpy(), table["head"].to_numpy()
        for column, values in {
            "chance": null.chance,
            "p": null.pvalues(),
            "p_corrected": null.corrected(),
        }.items():
            table[f"{column}: {null.name}"] = values.numpy()[place]
    return table
