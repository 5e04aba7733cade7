"""What a detection run found."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from rh_lens.checks import require_type
from rh_lens.detection.events import CopyEvents
from rh_lens.detection.retrieval_scores import RetrievalScores
from rh_lens.detection.score_table import SCORES, require_score_name
from rh_lens.detection.scores import ScoreName, activation_frequency
from rh_lens.detection.statement import UntilStatement
from rh_lens.detection.trial import Trial, require_trials
from rh_lens.heads import Head
from rh_lens.representation import heat_map_svg, html_table

_CAUSES = {
    "blank": "{n} blank: try the model's chat template, or text before the answer in a template",
    "newline": "{n} stopped at a line break: where the answer comes after it, let the model go on "
    "with stop=stop_rule(tokenizer, newline=False) (--stop none)",
    "string": "{n} stopped at a stop string: take it out of stop= (--stop)",
    "length": "{n} used up max_new_tokens ({room}): allow more (--max-new-tokens)",
    "eos": "{n} ended with another answer: try shorter contexts or the model's chat template",
}


class NoAcceptedTrialsError(ValueError):
    """The model retrieved no needle, so there is nothing to average.

    Args:
        trials: All trials of the run, each with what the model answered and why that was rejected.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.trials = tuple(trials)
        shown = "".join(
            f"\n  trial {trial.index} ({trial.prompt.context_length} tokens, depth "
            f"{trial.prompt.depth:.2f}): {trial.reason}"
            for trial in self.trials[:3]
        )
        super().__init__(
            f"Expected at least one accepted trial; found {len(self.trials)} rejected.{shown}\n"
            f"{advice(self.trials)} "
            'score="teacher-forced" needs no right answers.'
        )


@dataclass(frozen=True, eq=False)
class RetrievalResult:
    """Scores, events and trials of one detection run.

    Args:
        scores: The score that was asked for, per trial and head.
        events: Copy-paste events of all trials, rejected ones included.
        trials: All trials, by index.
        threshold: Score from which on a head counts as a retrieval head.
        n_heads: Query heads in a layer.
        n_kv_heads: Key-value heads in a layer.
        statement: What is known, where the detection was to stop early; None where it was not.
    """

    scores: RetrievalScores
    events: CopyEvents
    trials: tuple[Trial, ...]
    threshold: float
    n_heads: int
    n_kv_heads: int
    statement: UntilStatement | None = None

    def __repr__(self) -> str:
        return f"RetrievalResult({self._counts()}; {self.scores!r})"

    def _repr_html_(self) -> str:
        caption = f"{self.scores.name} score; {self._counts()}"
        picture = heat_map_svg(
            self.scores.mean().tolist(),
            outlined=[(head.layer, head.head) for head in self.heads()],
            group_size=self.n_heads // self.n_kv_heads,
            caption=f"{caption} (outlined)",
        )
        return picture + html_table(self.to_dataframe(), "Best heads")

    def _counts(self) -> str:
        return (
            f"{len(self.accepted)} of {len(self.trials)} prompts accepted, "
            f"{len(self.heads())} heads of {self.threshold:g} or more"
        )

    @property
    def accepted(self) -> tuple[Trial, ...]:
        """Trials whose answer retrieved the needle."""
        return tuple(trial for trial in self.trials if trial.accepted)

    @property
    def rejected(self) -> tuple[Trial, ...]:
        """The other trials; `reason` says why."""
        return tuple(trial for trial in self.trials if not trial.accepted)

    def top(self, k: int) -> list[Head]:
        """The k heads with the highest scores, or all when there are fewer.

        Raises:
            TypeError: k is no whole number.
            ValueError: It is below 1.
        """
        return self.scores.top(k)

    def heads(self, threshold: float | None = None) -> list[Head]:
        """Retrieval heads, best first: those with a score of at least the threshold.

        Args:
            threshold: None takes the run's own.

        Raises:
            TypeError: The threshold is no number.
            ValueError: It is not finite.
        """
        return self.scores.heads(self.threshold if threshold is None else threshold)

    def score(self, name: ScoreName) -> RetrievalScores:
        """Another score of the same run.

        Raises:
            NoAcceptedTrialsError: The score averages accepted trials and there are none.
            TypeError: The name is no text.
            ValueError: It is unknown, or the score had to be asked for in the run.
        """
        return score_trials(name, self.events, self.trials)

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each head, best first.

        Returns:
            Columns `layer`, `head`, `label`, `kv_group`, `score`, `n_trials` (trials in the mean)
            and `activation` (share of accepted trials with a copy-paste event, NaN without any).
        """
        table = self.scores.to_dataframe()
        heads = [Head(*place) for place in zip(table["layer"], table["head"], strict=True)]
        groups = [head.kv_group(self.n_heads, self.n_kv_heads) for head in heads]
        table.insert(3, "kv_group", groups)
        table["activation"] = float("nan")
        if self.accepted:
            events = self.events.of_trials(trial.index for trial in self.accepted)
            frequency = activation_frequency(events, self.accepted)
            table["activation"] = [float(frequency[head.layer, head.head]) for head in heads]
        return table


def score_trials(name: ScoreName, events: CopyEvents, trials: Sequence[Trial]) -> RetrievalScores:
    """The score with this name: over accepted trials, or over all where none needs to be right.

    Args:
        name: One of `SCORES`, such as "position".
        events: Copy-paste events of all trials.
        trials: All trials of a run.

    Raises:
        NoAcceptedTrialsError: The score averages accepted trials and there are none.
        TypeError: An argument is of another type.
        ValueError: The name is unknown, or the score had to be asked for in the run.

    Examples:
        >>> score_trials("token-set", events, result.trials)
        RetrievalScores('token-set': 8 trials, 4 layers of 8 heads; best L2H2 1.000, L2H3 1.000,
         L2H4 1.000, L2H5 0.958, L1H6 0.083)
    """
    require_score_name(name)
    require_type("events", events, CopyEvents, remedy="Take result.events.")
    trials = require_trials(trials)
    score = SCORES[name]
    if score.of_all_trials:
        return score.compute(events, trials)
    accepted = [trial for trial in trials if trial.accepted]
    if not accepted:
        raise NoAcceptedTrialsError(trials)
    return score.compute(events.of_trials(trial.index for trial in accepted), accepted)


def advice(rejected: Sequence[Trial]) -> str:
    """What may help against the causes that apply, the most frequent first.

    Args:
        rejected: Trials that were not accepted.
    """
    causes = Counter(
        trial.stop_reason if trial.text.strip() else "blank" for trial in rejected
    ).most_common()
    room = max((len(trial.tokens) for trial in rejected), default=0)
    found = "; ".join(_CAUSES[cause].format(n=n, room=room) for cause, n in causes)
    return f"Of these answers, {found}." if found else ""
