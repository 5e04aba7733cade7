"""A run scored as the published code of Wu et al. 2024 (arXiv:2404.15574) does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from rh_lens.detection.events import CopyEvents, find_copy_events
from rh_lens.detection.official import Span, official_score, official_span, official_stop
from rh_lens.detection.recorded_answers import recorded_answers
from rh_lens.detection.result import NoAcceptedTrialsError, RetrievalResult
from rh_lens.detection.retrieval_scores import RetrievalScores
from rh_lens.detection.sources import AttentionSources
from rh_lens.detection.trial import Trial, judge_trial
from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import short_repr
from rh_lens.runtime import (
    Answer,
    Bridge,
    PrefillChoice,
    attention_layers,
)


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
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    *,
    threshold: float = 0.1,
    max_new_tokens: int = 50,
    prefill: PrefillChoice = "auto",
    share_prefixes: bool = True,
    draft: bool = True,
    progress: bool = True,
    on_trial: Callable[[Trial, pd.DataFrame], object] | None = None,
) -> OfficialResult:
    """Retrieval heads as the published code scores them, on the same prompts.

    A trial is accepted when ROUGE-1 recall of its answer is above 0.5; an answer in which ROUGE
    finds no word never is. Layers without attention have NaN, all other heads a number on every
    trial.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts, from `build_prompt` or `build_grid`.
        threshold: Score from which on a head counts as a retrieval head.
        max_new_tokens: Longest answer in tokens; the published code has 50.
        prefill: How prompts are read: "auto", "sdpa", "chunked" or "whole".
        share_prefixes: Whether prompts continue from what they have in common.
        draft: Whether answers are guessed, and many tokens verified in one pass.
        progress: Whether to show a progress bar.
        on_trial: Called with each trial and its events in the true span, as it ends.

    Raises:
        NoAcceptedTrialsError: The model retrieved no needle.
        RuntimeError: The chosen way of reading disagrees with the plain bridge.
        TypeError: `model` is not a TransformerBridge.
        ValueError: There is no prompt, or the model can't be read.
    """
    attention_layers(model)
    if not prompts:
        raise ValueError("Expected a needle prompt or more; found none. Build some: build_grid.")
    options: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "stop": official_stop(model.tokenizer),
        "prefill": prefill,
        "share_prefixes": share_prefixes,
        "draft": draft,
    }
    done: dict[int, tuple[Trial, pd.DataFrame, Span | None, Tensor]] = {}
    answers = recorded_answers(model, prompts, **options)
    bar = tqdm(answers, total=len(prompts), desc="answering", unit="prompt", disable=not progress)
    for answer, sources in bar:
        index = answer.index
        done[index] = _trial(model, prompts[index], answer, sources)
        if on_trial is not None:
            on_trial(*done[index][:2])
    return _result(model, threshold, [done[index] for index in sorted(done)])


def _trial(
    model: Bridge, prompt: NeedlePrompt, answer: Answer, sources: AttentionSources
) -> tuple[Trial, pd.DataFrame, Span | None, Float[Tensor, "layer head"]]:
    """One answer: the trial, its events, the official span and every head's official score."""
    generation, tokenizer = answer.generation, model.tokenizer
    kept = sources.answer_rows(len(prompt.tokens), len(generation.tokens))
    trial = judge_trial(answer.index, prompt, generation, kept, tokenizer)
    if trial.recall_measure != "rouge1":
        reason = f"ROUGE-1 finds no word in {prompt.needle.answer!r}"
        trial = replace(trial, accepted=False, reason=reason, recall=0.0)
    events = find_copy_events(answer.index, prompt, generation.tokens, kept, tokenizer)
    span = official_span(prompt.tokens, prompt.needle.answer, tokenizer)
    said = torch.tensor(generation.said, dtype=torch.long)
    score = official_score(sources.source, prompt.tokens, said, span)
    return trial, events, span, sources.by_model_layer(score)


def _result(
    model: Bridge,
    threshold: float,
    done: Sequence[tuple[Trial, pd.DataFrame, Span | None, Float[Tensor, "layer head"]]],
) -> OfficialResult:
    """All trials in the order of the prompts, scored."""
    trials, tables, spans, values = zip(*done, strict=True)
    accepted = [place for place, trial in enumerate(trials) if trial.accepted]
    if not accepted:
        raise NoAcceptedTrialsError(trials)
    scores = RetrievalScores(
        torch.stack([values[place] for place in accepted]),
        "official",
        tuple(trials[place].index for place in accepted),
    )
    n_heads = model.cfg.n_heads
    n_kv_heads = getattr(model.cfg, "n_key_value_heads", None) or n_heads
    events = CopyEvents.join(tables)
    result = RetrievalResult(scores, events, tuple(trials), threshold, n_heads, n_kv_heads)
    return OfficialResult(result, tuple(spans))
