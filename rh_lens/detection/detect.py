"""Finding the retrieval heads of a model: the composition of the other files."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from rh_lens.checks import require_whole_number
from rh_lens.detection.detection_options import detection_options
from rh_lens.detection.events import CopyEvents, find_copy_events
from rh_lens.detection.official import official_score, official_span, official_verdict
from rh_lens.detection.recorded_answers import recorded_answers
from rh_lens.detection.result import RetrievalResult, require_score_name, score_trials
from rh_lens.detection.scores import FORCED_SCORES, ScoreName
from rh_lens.detection.sources import AttentionSources
from rh_lens.detection.teacher_forced import forced_shares
from rh_lens.detection.trial import Trial, judge_trial
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import (
    Answer,
    Bridge,
    PrefillChoice,
    StopRule,
    attention_layers,
    require_answering,
)

TrialWithEvents: TypeAlias = tuple[Trial, pd.DataFrame]
"""A trial and its copy-paste events."""


def detect_retrieval_heads(
    model: Bridge,
    prompts: Iterable[NeedlePrompt],
    *,
    score: ScoreName = "position",
    threshold: float = 0.1,
    min_recall: float = 0.5,
    max_new_tokens: int | None = None,
    stop: StopRule | None = None,
    prefill: PrefillChoice = "auto",
    share_prefixes: bool = True,
    draft: bool = True,
    batch_size: int = 1,
    progress: bool = True,
    only: Collection[int] | None = None,
    done: Mapping[int, TrialWithEvents] | None = None,
    on_start: Callable[[int], object] | None = None,
    on_trial: Callable[[Trial, pd.DataFrame], object] | None = None,
) -> RetrievalResult:
    """Retrieval heads of a model: those that look at the needle's token the model says next.

    Each prompt is answered greedily while every head's most-attended position is recorded; copies
    from the answer span are counted and averaged over the accepted trials (Wu et al. 2024,
    arXiv:2404.15574). Hooks that the caller holds open with `model.hooks(...)` stay in force, so
    an ablated model can be searched too; they must treat all positions of a pass alike, as prompts
    are read in pieces. The model is left as it was found.

    One thread at a time runs on a model; another one is refused (`exclusive_use`).

    How prompts are read and answers are decoded changes no token and no source in fp32; in half
    precision, rounding may decide between two that are as good as equal.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts, from `build_prompt` or `build_grid`.
        score: Which definition `scores` holds. The others can be had afterwards from
            `result.score(name)`, but for "official", and for "teacher-forced" and "fed-attention":
            either of these two costs one more pass for each prompt, and then both can be had.
        threshold: Score from which on a head counts as a retrieval head.
        min_recall: A trial is accepted when the recall of its answer is above this; -1 accepts
            every answer.
        max_new_tokens: Longest answer in tokens. None: `room_for_answers`; 50 for "official".
        stop: What ends an answer. None: end of sequence, and a newline unless a needle's answer
            holds one; for "official" what ends one in the published code.
        prefill: How prompts are read: "auto", "sdpa", "chunked" or "whole".
        share_prefixes: Whether prompts are ordered so that each continues from what it has in
            common with the one before.
        draft: Whether answers are guessed, and many tokens verified in one pass.
        batch_size: Prompts answered at once; above 1, without shared prefixes and drafts. It pays
            for short prompts on a GPU.
        progress: Whether to show a progress bar.
        only: Indices of the prompts to answer; None: all. Their numbers are those that they have
            among all prompts, to the last bit.
        done: Trials of these prompts that ended before, with their events, by index: not answered
            again, and part of the result. `RunFolder.done` has them from disk.
        on_start: Called with a prompt's index right before it is answered.
        on_trial: Called with each new trial and its events as it ends, to save them at once; in the
            order of reading, not of the prompts.

    Returns:
        Scores, events and trials, rejected ones with their reasons.

    Raises:
        NoAcceptedTrialsError: The model retrieved no needle (not with "teacher-forced" or
            "fed-attention").
        ModelInUseError: Another thread is using the model.
        RuntimeError: The chosen way of reading disagrees with the plain bridge.
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: There is no prompt, a number is out of range, the score is unknown, the model
            has no attention or no KV cache, a prompt does not fit its context window, or `only` or
            `done` name a prompt that there is not.
    """
    require_score_name(score)
    require_whole_number("batch_size", batch_size, at_least=1)
    require_answering(prefill=prefill, share_prefixes=share_prefixes, draft=draft)
    attention_layers(model)
    prompts = _require_prompts(prompts)
    ended = _require_same_prompts(done or {}, prompts)
    wanted = [index for index in _require_indices(only, prompts) if index not in ended]
    asked = detection_options(
        model,
        prompts,
        score=score,
        threshold=threshold,
        min_recall=min_recall,
        max_new_tokens=max_new_tokens,
        stop=stop,
    )
    options: dict[str, Any] = {
        "max_new_tokens": asked.max_new_tokens,
        "stop": asked.stop,
        "prefill": prefill,
        "share_prefixes": share_prefixes,
        "draft": draft,
        "batch_size": batch_size,
        "only": wanted,
    }
    judge = partial(_trial_of_answer, model, min_recall, score)
    with tqdm(
        initial=len(ended),
        total=len(ended) + len(wanted),
        desc="answering",
        unit="prompt",
        disable=not progress,
    ) as bar:
        for answer, sources in recorded_answers(model, prompts, on_start=on_start, **options):
            trial, events = judge(prompts[answer.index], answer, sources)
            ended[answer.index] = trial, events
            accepted = sum(trial.accepted for trial, _ in ended.values())
            bar.set_postfix(accepted=accepted, refresh=False)
            bar.update()
            if on_trial is not None:
                on_trial(trial, events)
    return _result(model, score, threshold, ended)


def _trial_of_answer(
    model: Bridge,
    min_recall: float,
    score: ScoreName,
    prompt: NeedlePrompt,
    answer: Answer,
    sources: AttentionSources,
) -> TrialWithEvents:
    """The trial that an answer makes, with the scores that only now can be had, and its events."""
    recorded: Mapping[str, Float[Tensor, "layer head"]] = {}
    if score in FORCED_SCORES:
        recorded = forced_shares(model, prompt, context=answer.context)
    if score == "official":
        recorded = {score: _official_score(model, prompt, answer, sources)}
    tokens = answer.generation.tokens
    sources = sources.answer_rows(len(prompt.tokens), len(tokens))
    trial = judge_trial(
        answer.index,
        prompt,
        answer.generation,
        sources,
        model.tokenizer,
        min_recall=min_recall,
        recorded_scores=recorded,
    )
    if score == "official":
        trial = official_verdict(trial)
    return trial, find_copy_events(answer.index, prompt, tokens, sources, model.tokenizer)


def _official_score(
    model: Bridge, prompt: NeedlePrompt, answer: Answer, sources: AttentionSources
) -> Float[Tensor, "layer head"]:
    """Every head's official score; the row that predicted the stop token counts there."""
    span = official_span(prompt.tokens, prompt.needle.answer, model.tokenizer)
    said = torch.tensor(answer.generation.said, dtype=torch.long)
    return sources.by_model_layer(official_score(sources.source, prompt.tokens, said, span))


def _result(
    model: Bridge, score: ScoreName, threshold: float, ended: Mapping[int, TrialWithEvents]
) -> RetrievalResult:
    """Trials and events in the order of the prompts, scored."""
    in_order = [ended[index] for index in sorted(ended)]
    trials = tuple(trial for trial, _ in in_order)
    events = CopyEvents.join(table for _, table in in_order)
    return RetrievalResult(
        scores=score_trials(score, events, trials),
        events=events,
        trials=trials,
        threshold=threshold,
        n_heads=model.cfg.n_heads,
        n_kv_heads=getattr(model.cfg, "n_key_value_heads", None) or model.cfg.n_heads,
    )


def _require_prompts(prompts: Iterable[NeedlePrompt]) -> Sequence[NeedlePrompt]:
    """The prompts as a sequence of at least one."""
    prompts = list(prompts)
    if not prompts:
        raise ValueError(
            "Expected at least one needle prompt; found none. Build some with build_grid."
        )
    return prompts


def _require_indices(
    only: Collection[int] | None, prompts: Sequence[NeedlePrompt]
) -> Collection[int]:
    """The indices of the prompts to answer, all of them prompts'."""
    every = range(len(prompts))
    unknown = sorted(set(only or ()) - set(every))
    if unknown:
        raise ValueError(
            f"Expected `only` to name prompts by their index, 0 to {len(prompts) - 1}; found "
            f"{unknown[:5]}. Pass the whole list of prompts, and indices into it."
        )
    return every if only is None else only


def _require_same_prompts(
    done: Mapping[int, TrialWithEvents], prompts: Sequence[NeedlePrompt]
) -> dict[int, TrialWithEvents]:
    """A copy of `done`, whose trials are of these prompts."""
    for index, (trial, _) in done.items():
        found = prompts[index].sha256 if 0 <= index < len(prompts) else "no such prompt"
        if trial.index != index or trial.prompt.sha256 != found:
            raise ValueError(
                f"Expected trial {index} of `done` to be of prompt {index}, with the SHA-256 "
                f"{found[:16]}; found trial {trial.index} of a prompt with "
                f"{trial.prompt.sha256[:16]}. Pass the prompts that the trials were made with."
            )
    return dict(done)
