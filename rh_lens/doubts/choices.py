"""How much of a result is its choices: thresholds, spans, normalisations, and what is counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_list, require_number, require_numbers, require_type
from rh_lens.circuits import HeadScores
from rh_lens.doubts.recording import AnswerRows, Span, needles_of
from rh_lens.evaluation import Estimate
from rh_lens.heads import Head
from rh_lens.representation import html_table

MIN_RECALL, THRESHOLD = 0.5, 0.1
"""The usual choices: recall that an answer must exceed, and score of a retrieval head."""

_N_RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class Option:
    """Scores under one choice.

    Args:
        choice: What is chosen, such as "threshold".
        name: Which option, such as "0.2".
        scores: Of every head on every trial that counts; units are needles.
        threshold: Score from which on a head counts as a retrieval head.
    """

    choice: str
    name: str
    scores: HeadScores
    threshold: float

    def heads(self) -> list[Head]:
        """Retrieval heads under it, best first."""
        mean = self.scores.mean()
        return [h for h in self.scores.ranking() if mean[h.layer, h.head] >= self.threshold]


@dataclass(frozen=True, eq=False)
class Choices:
    """The usual choices first, and then one of them changed at a time.

    Args:
        options: The options; the first one is the usual.
    """

    options: tuple[Option, ...]

    def __repr__(self) -> str:
        table = self.to_dataframe()
        return (
            f"Choices({len(self.options)} options, {table['n_heads'].min()} to "
            f"{table['n_heads'].max()} heads; lowest Jaccard with the usual choices "
            f"{table['jaccard'].min():.2f})"
        )

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), repr(self), n_rows=40)

    @property
    def usual(self) -> Option:
        """The choices that all others are compared with."""
        return self.options[0]

    def to_dataframe(self) -> pd.DataFrame:
        """One row an option.

        Returns:
            Columns `choice`, `option`, `n_trials`, `n_heads` (retrieval heads), `jaccard` (of these
            with the usual ones, 1 where both are none) with `jaccard_low` and `jaccard_high` (95 %
            percentile interval over needles), `spearman` (with the usual scores, over heads) and
            `score_moved` (mean change of the usual heads' scores).
        """
        return self._table.copy()

    @cached_property
    def _table(self) -> pd.DataFrame:
        return pd.DataFrame([self._row(option) for option in self.options])

    def _row(self, option: Option) -> dict[str, object]:
        usual, own = self.usual.scores.mean(), option.scores.mean()
        places = [(head.layer, head.head) for head in self.usual.heads()]
        moved = [float(own[place] - usual[place]) for place in places]
        return {
            "choice": option.choice,
            "option": option.name,
            "n_trials": len(option.scores.units),
            "n_heads": len(option.heads()),
            **self.jaccard(option).named("jaccard"),
            "spearman": _spearman(usual, own),
            "score_moved": float(np.mean(moved)) if moved else float("nan"),
        }

    def jaccard(self, option: Option) -> Estimate:
        """Share of retrieval heads in common with the usual choices, and its interval.

        Of needles that both have; without any the interval is [0, 1].
        """
        one, other = (o.scores.unit_means() for o in (self.usual, option))
        units = [name for name in one.units if name in other.units]
        first = one.values[[one.units.index(name) for name in units]]
        second = other.values[[other.units.index(name) for name in units]]
        rng = np.random.default_rng(0)
        drawn = [] if units else [0.0, 1.0]
        for _ in range(_N_RESAMPLES if units else 0):
            rows = torch.from_numpy(rng.integers(0, len(units), len(units)))
            sets = (
                values[rows].nanmean(dim=0) >= limit
                for values, limit in ((first, self.usual.threshold), (second, option.threshold))
            )
            drawn.append(_jaccard(*sets))
        low, high = np.quantile(drawn, [0.025, 0.975])
        whole = _jaccard(
            self.usual.scores.mean() >= self.usual.threshold,
            option.scores.mean() >= option.threshold,
        )
        return Estimate(whole, min(float(low), whole), max(float(high), whole), len(units))


def score_choices(
    rows: Sequence[AnswerRows],
    recalls: Sequence[float],
    *,
    more: Mapping[str, HeadScores] | None = None,
    threshold: float = THRESHOLD,
    min_recall: float = MIN_RECALL,
) -> Choices:
    """Scores and sets of heads with one choice changed at a time.

    The usual choices: position score (most-attended position, in the answer's span, distinct
    positions over the answer's length), threshold 0.1, answers with a recall above 0.5. Changed
    are the threshold; the recall; the three most-attended positions, or the attention's mass, in
    place of the first; the needle's sentence in place of the answer; the first token only; and
    what the number of copies is divided by.

    Args:
        rows: From `record_trials`, of all trials that said anything, accepted or not.
        recalls: Recall of each (`trial.recall`).
        more: Scores of other runs by "choice: option", such as another template.
        threshold: The usual one.
        min_recall: The usual one.

    Raises:
        TypeError: An argument is of another type.
        ValueError: No answer has the recall, or the recalls are not as many as the answers.

    Examples:
        >>> rows = record_trials(model, trials)
        >>> found = score_choices(rows, [trial.recall for trial in trials])
        >>> found.to_dataframe().columns.tolist()[:3]
        ['choice', 'option', 'n_trials']
    """
    needles = needles_of(rows)
    given = require_numbers("recalls", list(recalls))
    require_number("threshold", threshold, at_least=0, at_most=1)
    require_number("min_recall", min_recall, at_least=-1, at_most=1)
    require_type("more", {} if more is None else more, Mapping, remedy="Pass scores by name.")
    extra = dict(more or {})
    require_list("more", list(extra.values()), HeadScores)
    if len(given) != len(rows) or not (given > min_recall).any():
        raise ValueError(
            f"Expected recalls for each of {len(rows)} answers, one of them above {min_recall:g}; "
            f"found {len(given)}, the highest {given.max():.2f}. Pass [trial.recall for ...]."
        )

    def scored(name: str, kept: float) -> HeadScores:
        chosen = [place for place in range(len(rows)) if given[place] > kept]
        values = torch.stack([_KERNELS[name](rows[place]) for place in chosen])
        return HeadScores(values.double(), name, tuple(needles[place] for place in chosen))

    usual = scored("position", min_recall)
    options = [Option("usual", "", usual, threshold)]
    options += [
        Option("threshold", f"{one:g}", usual, one) for one in (0.05, 0.2, 0.5) if one != threshold
    ]
    for cut in (0.0, 0.3, 0.8):
        if (given > cut).any() and cut != min_recall:
            options.append(Option("recall", f"> {cut:g}", scored("position", cut), threshold))
    for name, choice in _CHOICE_OF.items():
        options.append(Option(choice, name, scored(name, min_recall), threshold))
    for name, scores in extra.items():
        choice, _, option = name.partition(": ")
        options.append(Option(choice, option, scores, threshold))
    return Choices(tuple(options))


def _position(row: AnswerRows) -> Float[Tensor, "layer head"]:
    return row.placed(_copied(row, row.ranked[..., :1], row.prompt.answer_span))


def _top_three(row: AnswerRows) -> Float[Tensor, "layer head"]:
    return row.placed(_copied(row, row.ranked, row.prompt.answer_span))


def _mass(row: AnswerRows) -> Float[Tensor, "layer head"]:
    return row.placed(row.sources.require_needle_mass().double().mean(dim=0))


def _sentence(row: AnswerRows) -> Float[Tensor, "layer head"]:
    """Copied tokens of the whole sentence, over the answer's length, 1 at most."""
    start, stop = row.prompt.needle_span
    share = _copied(row, row.ranked[..., :1], row.prompt.needle_span)
    n_answer = len(row.prompt.answer_tokens)
    return row.placed((share * (stop - start) / n_answer).clamp(max=1.0))


def _first_token(row: AnswerRows) -> Float[Tensor, "layer head"]:
    return row.placed(_events(row)[0].double())


def _by_steps(row: AnswerRows) -> Float[Tensor, "layer head"]:
    return row.placed(_events(row).double().mean(dim=0))


def _by_events(row: AnswerRows) -> Float[Tensor, "layer head"]:
    return row.placed(_events(row).double().sum(dim=0) / len(row.prompt.answer_tokens))


_KERNELS = {
    "position": _position,
    "top 3": _top_three,
    "mass": _mass,
    "sentence": _sentence,
    "first token": _first_token,
    "copies a step": _by_steps,
    "repeats count": _by_events,
}
_CHOICE_OF = {
    "top 3": "what counts as a look",
    "mass": "what counts as a look",
    "sentence": "span",
    "first token": "steps",
    "copies a step": "normalisation",
    "repeats count": "normalisation",
}


def _events(row: AnswerRows) -> Float[Tensor, "step layer head"]:
    """Whether each row is a copy-paste event."""
    return _matches(row, row.ranked[..., :1], row.prompt.answer_span)[..., 0].float()


def _matches(row: AnswerRows, looked: Int[Tensor, "step layer head rank"], span: Span) -> Tensor:
    start, stop = span
    tokens = row.prompt.tokens
    attended = tokens[looked.clamp(max=len(tokens) - 1)]
    inside = (looked >= start) & (looked < stop)
    return inside & (attended == row.said[:, None, None, None])


def _copied(
    row: AnswerRows, looked: Int[Tensor, "step layer head rank"], span: Span
) -> Float[Tensor, "layer head"]:
    """Share of a span's positions that were copied at least once."""
    start, stop = span
    found = _matches(row, looked, span).permute(0, 3, 1, 2).flatten(0, 1)
    offset = (looked - start).clamp(0, stop - start - 1).permute(0, 3, 1, 2).flatten(0, 1)
    seen = torch.zeros(stop - start, *found.shape[1:])
    seen.scatter_reduce_(0, offset, found.float(), reduce="amax")
    return seen.double().mean(dim=0)


def _jaccard(one: Tensor, other: Tensor) -> float:
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0


def _spearman(one: Float[Tensor, "layer head"], other: Float[Tensor, "layer head"]) -> float:
    known = ~(one.isnan() | other.isnan())
    ranks = np.stack([pd.Series(values[known].numpy()).rank() for values in (one, other)])
    if not ranks.std(axis=1).all():
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])
