"""A run scored as the published code of Wu et al. 2024 (arXiv:2404.15574) does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rh_lens.checks import require_type
from rh_lens.detection.detect import detect_retrieval_heads
from rh_lens.detection.official import Span, official_span
from rh_lens.detection.result import RetrievalResult
from rh_lens.detection.retrieval_scores import RetrievalScores
from rh_lens.detection.trial import Trial
from rh_lens.prompts import NeedlePrompt
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge


@dataclass(frozen=True, eq=False)
class OfficialResult:
    """A run scored as the published code does.

    Args:
        detection: Trials, and `scores` named "official" over the accepted ones. Its events are
            those in the true answer span, so that `detection.score("position")` scores the same
            answers by this package's definition.
        spans: Where the published code believes each trial's answer to be, None where it fails.
    """

    detection: RetrievalResult
    spans: tuple[Span | None, ...]

    __repr__ = short_repr

    @property
    def scores(self) -> RetrievalScores:
        """Official scores of the accepted trials."""
        return self.detection.scores

    @property
    def missed(self) -> tuple[Trial, ...]:
        """Accepted trials whose answer is not found: they score 0 and are averaged in."""
        pairs = zip(self.detection.trials, self.spans, strict=True)
        return tuple(trial for trial, span in pairs if trial.accepted and span is None)

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each trial.

        Returns:
            Columns `trial`, `accepted`, `answer_start`, `answer_stop` (the true span),
            `official_start`, `official_stop` and `early` (tokens by which the official span begins
            before the true one), missing where it was not found, `recall` and `text` of the answer.
        """
        rows = [
            (trial.index, trial.accepted, *trial.prompt.answer_span, *(span or (None, None)))
            for trial, span in zip(self.detection.trials, self.spans, strict=True)
        ]
        places = ["answer_start", "answer_stop", "official_start", "official_stop"]
        table = pd.DataFrame(rows, columns=["trial", "accepted", *places])
        table = table.astype(dict.fromkeys(places, "Int64"))
        return table.assign(
            early=table["answer_start"] - table["official_start"],
            recall=[trial.recall for trial in self.detection.trials],
            text=[trial.text for trial in self.detection.trials],
        )


def detect_official(
    model: Bridge, prompts: Sequence[NeedlePrompt], **options: Any
) -> OfficialResult:
    """Retrieval heads as the published code scores them, on the same prompts.

    A trial is accepted when ROUGE-1 recall of its answer is above 0.5; an answer in which ROUGE
    finds no word never is. Layers without attention have NaN, all other heads a number on every
    trial. It is `detect_retrieval_heads(score="official")`, which a `RunFolder` saves as it goes
    on, and where the answers seem to be.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts, from `build_prompt` or `build_grid`.
        options: Further arguments of `detect_retrieval_heads`, such as `threshold` or `log`.

    Raises:
        NoAcceptedTrialsError: The model retrieved no needle.
        RuntimeError: The chosen way of reading disagrees with the plain bridge.
        TypeError: `model` is not a TransformerBridge, or an option has the wrong type.
        ValueError: There is no prompt, an option is out of range, or the model can't be read.

    Examples:
        >>> found = detect_official(model, prompts, progress=False)
        >>> len(found.missed), len(found.spans)
        (6, 8)
    """
    detection = detect_retrieval_heads(model, prompts, score="official", **options)
    return official_result(detection, model.tokenizer)


def official_result(detection: RetrievalResult, tokenizer: Any) -> OfficialResult:
    """A run with `score="official"`, with the places where the published code finds the answers.

    Args:
        detection: From `detect_retrieval_heads(score="official")`, or from `RunFolder.finish`.
        tokenizer: The model's, to encode each answer alone.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The run has another score, or was read back without the prompts' tokens.

    Examples:
        >>> found = detect_retrieval_heads(model, prompts, score="official", progress=False)
        >>> len(official_result(found, tokenizer).missed)
        6
    """
    require_type("detection", detection, RetrievalResult, remedy="Take it from a detection run.")
    require_tokenizer(tokenizer)
    if detection.scores.name != "official":
        raise ValueError(
            f"Expected a run with the score 'official'; found {detection.scores.name!r}. Run "
            'detect_retrieval_heads(..., score="official").'
        )
    lost = [trial.index for trial in detection.trials if int(trial.prompt.tokens.min()) < 0]
    if lost:
        raise ValueError(
            f"Expected trials with the tokens of their prompts; found {len(lost)} without, as they "
            "were read from a folder. Read it with load_run(folder, prompts=prompts)."
        )
    spans = [
        official_span(trial.prompt.tokens, trial.prompt.needle.answer, tokenizer)
        for trial in detection.trials
    ]
    return OfficialResult(detection, tuple(spans))
