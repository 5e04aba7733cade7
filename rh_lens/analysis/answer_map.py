"""Which heads carry which part of the answer."""

from dataclasses import dataclass
from typing import Literal, cast

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.analysis.trial_groups import ScoresLike, scored_trials, trials_of
from rh_lens.checks import require_type, require_whole_number
from rh_lens.detection import CopyEvents, RetrievalResult, RetrievalScores
from rh_lens.heads import Head
from rh_lens.representation import short_repr

MAX_PARTS = 1_000


@dataclass(frozen=True, eq=False)
class AnswerMap:
    """How much of each part of the answer every head copied.

    Args:
        share: Share of a part's tokens that a head copied, averaged over the trials whose answer
            has that part and whose answer the head could see; NaN without any.
        parts: Half-open start and stop of each part, in tokens from the answer's start or in shares
            of its length.
        unit: "token" or "share of the answer".
        n_trials: Trials that have each part.
    """

    share: Float[Tensor, "layer head part"]
    parts: tuple[tuple[float, float], ...]
    unit: Literal["token", "share of the answer"]
    n_trials: Int[Tensor, " part"]

    __repr__ = short_repr

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each head and part, in order.

        Returns:
            Columns `layer`, `head`, `label`, `start`, `stop`, `share` and `n_trials`.
        """
        n_layers, n_heads, _ = self.share.shape
        rows = [
            (layer, head, Head(layer, head).label, *part, int(n))
            for layer in range(n_layers)
            for head in range(n_heads)
            for part, n in zip(self.parts, self.n_trials, strict=True)
        ]
        columns = ["layer", "head", "label", "start", "stop", "n_trials"]
        table = pd.DataFrame(rows, columns=columns)
        table.insert(5, "share", self.share.flatten().numpy())
        return table

    def strongest(self, k: int = 1) -> pd.DataFrame:
        """The k heads that copied each part most often; the same columns, best first in a part.

        Raises:
            TypeError: An argument is of another type.
            ValueError: k is below 1.
        """
        require_whole_number("k", k, at_least=1)
        table = self.to_dataframe().dropna(subset="share")
        order = table.sort_values(["start", "share"], ascending=[True, False], kind="stable")
        return order.groupby("start", sort=True).head(k).reset_index(drop=True)


def answer_map(
    scores: ScoresLike,
    events: CopyEvents | None = None,
    trials: pd.DataFrame | None = None,
    *,
    n_parts: int | None = None,
) -> AnswerMap:
    """Which part of the answer each head copied, over the trials that were scored.

    A token is copied when some copy-paste event of the head looked at its place in the needle.

    Args:
        scores: Says which trials count and which heads could see the answer; their values play no
            part. Position, token-set or event scores of accepted trials; or a run, which brings its
            events and trials.
        events: Copy-paste events of the run; those of other trials are left out.
        trials: One row a trial with its `answer_span`, from `trial_table` or a stored run.
        n_parts: None: one part for each token offset, and trials with shorter answers are left out
            of the later ones. Otherwise the answer is cut in so many equal parts, whatever its
            length, and token j of L falls in part floor(j n_parts / L).

    Raises:
        TypeError: An argument is of another type.
        ValueError: n_parts is below 1, the table lacks a column or a trial, or a copied token lies
            after its answer.

    Examples:
        >>> found = answer_map(result, n_parts=3)
        >>> found.strongest(2)
           layer  head label     start      stop  share  n_trials
        0      2     2  L2H2  0.000000  0.333333    1.0         8
        1      2     3  L2H3  0.000000  0.333333    1.0         8
        2      2     2  L2H2  0.333333  0.666667    1.0         8
        3      2     3  L2H3  0.333333  0.666667    1.0         8
        4      2     2  L2H2  0.666667  1.000000    1.0         8
        5      2     3  L2H3  0.666667  1.000000    1.0         8
    """
    if n_parts is not None:
        require_whole_number("n_parts", n_parts, at_least=1, at_most=MAX_PARTS)
    if events is None and isinstance(scores, RetrievalResult):
        events = scores.events
    scores, trials = scored_trials(scores, trials)
    require_type("events", events, CopyEvents, remedy="Take result.events.")
    spans = trials_of(scores, trials, ["answer_span"])["answer_span"]
    lengths = torch.tensor([stop - start for start, stop in spans])
    part_of = _part_of(lengths, n_parts)
    n_columns = n_parts or int(lengths.max())
    in_part = torch.stack([(part_of == part).sum(dim=1) for part in range(n_columns)], dim=1)
    visible = (~scores.values.isnan()).double()
    has_part = (in_part > 0).double()
    n_seen = torch.einsum("tlh,tp->lhp", visible, has_part)
    copied = _copied_shares(scores, cast(CopyEvents, events), part_of, in_part)
    return AnswerMap(
        share=(copied / n_seen).where(n_seen > 0, torch.nan),
        parts=tuple(_edges(n_columns, n_parts)),
        unit="token" if n_parts is None else "share of the answer",
        n_trials=has_part.sum(dim=0).long(),
    )


def _part_of(lengths: Int[Tensor, " trial"], n_parts: int | None) -> Int[Tensor, "trial offset"]:
    """Part of every token offset of each answer; -1 after its end."""
    offset = torch.arange(int(lengths.max())).expand(len(lengths), -1)
    part = offset if n_parts is None else offset * n_parts // lengths[:, None]
    return part.where(offset < lengths[:, None], -1)


def _copied_shares(
    scores: RetrievalScores,
    events: CopyEvents,
    part_of: Int[Tensor, "trial offset"],
    in_part: Int[Tensor, "trial part"],
) -> Float[Tensor, "layer head part"]:
    """Share of each part that a head copied, summed over the trials."""
    table = events.of_trials(scores.trials).table
    table = table.drop_duplicates(["trial", "layer", "head", "answer_offset"])
    row_of = {trial: row for row, trial in enumerate(scores.trials)}
    row = torch.tensor(table["trial"].map(row_of).to_list(), dtype=torch.long)
    layer, head, offset = (
        torch.tensor(table[name].to_list(), dtype=torch.long)
        for name in ("layer", "head", "answer_offset")
    )
    if len(offset) and (offset.max() >= part_of.shape[1] or (part_of[row, offset] < 0).any()):
        raise ValueError(
            f"Expected copies inside the trials' answers of at most {part_of.shape[1]} tokens; "
            f"found an answer_offset of {int(offset.max())}. Pass events and trials of one run."
        )
    part = part_of[row, offset]
    total = torch.zeros((*scores.values.shape[1:], in_part.shape[1]), dtype=torch.float64)
    return total.index_put((layer, head, part), 1 / in_part[row, part].double(), accumulate=True)


def _edges(n_columns: int, n_parts: int | None) -> list[tuple[float, float]]:
    scale = n_parts or 1
    return [(part / scale, (part + 1) / scale) for part in range(n_columns)]
