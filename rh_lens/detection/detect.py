"""Finding the retrieval heads of a model: the composition of the other files."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from rh_lens.detection.capture import SourceRecorder, answer_recorder
from rh_lens.detection.events import CopyEvents, find_copy_events
from rh_lens.detection.result import RetrievalResult, require_score_name, score_trials
from rh_lens.detection.scores import ScoreName
from rh_lens.detection.sources import AttentionSources
from rh_lens.detection.teacher_forced import teacher_forced_copy
from rh_lens.detection.trial import Trial, judge_trial
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import (
    Answer,
    Bridge,
    FwdHooks,
    PrefillChoice,
    StopRule,
    answer_prompts,
    attention_layers,
    eos_token_ids,
    stop_rule,
)


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
    on_trial: Callable[[Trial, pd.DataFrame], object] | None = None,
) -> RetrievalResult:
    """Retrieval heads of a model: those that look at the needle's token the model says next.

    Each prompt is answered greedily while every head's most-attended position is recorded; copies
    from the answer span are counted and averaged over the accepted trials (Wu et al. 2024,
    arXiv:2404.15574). Hooks that the caller holds open with `model.hooks(...)` stay in force, so
    an ablated model can be searched too; they must treat all positions of a pass alike, as prompts
    are read in pieces. The model is left as it was found.

    How prompts are read and answers are decoded changes no token and no source in fp32; in half
    precision, rounding may decide between two that are as good as equal.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts, from `build_prompt` or `build_grid`.
        score: Which definition `scores` holds. All but "teacher-forced" can be had afterwards from
            `result.score(name)`; "teacher-forced" costs one more pass for each prompt.
        threshold: Score from which on a head counts as a retrieval head.
        min_recall: A trial is accepted when the recall of its answer is above this.
        max_new_tokens: Longest answer in tokens. None: 32, or the longest needle answer and half as
            much again where that is more.
        stop: What ends an answer. None: end of sequence and newline.
        prefill: How prompts are read: "auto", "sdpa", "chunked" or "whole".
        share_prefixes: Whether prompts are ordered so that each continues from what it has in
            common with the one before.
        draft: Whether answers are guessed, and many tokens verified in one pass.
        batch_size: Prompts answered at once; above 1, without shared prefixes and drafts. It pays
            for short prompts on a GPU.
        progress: Whether to show a progress bar.
        on_trial: Called with each trial and its events as it ends, to save them at once; in the
            order of reading, not of the prompts.

    Returns:
        Scores, events and trials, rejected ones with their reasons.

    Raises:
        NoAcceptedTrialsError: The model retrieved no needle (not with "teacher-forced").
        RuntimeError: The chosen way of reading disagrees with the plain bridge.
        TypeError: `model` is not a TransformerBridge.
        ValueError: There is no prompt, the score is unknown, the model has no attention or no KV
            cache, or a prompt does not fit its learned positions.
    """
    require_score_name(score)
    attention_layers(model)
    prompts = _require_prompts(prompts)
    tokenizer = model.tokenizer
    stop = stop or stop_rule(tokenizer, eos=eos_token_ids(model))
    if max_new_tokens is None:
        max_new_tokens = _default_length(prompts)

    options: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "stop": stop,
        "prefill": prefill,
        "share_prefixes": share_prefixes,
        "draft": draft,
        "batch_size": batch_size,
    }
    answers = _answers_with_sources(model, prompts, options)
    bar = tqdm(answers, total=len(prompts), desc="answering", unit="prompt", disable=not progress)
    trials: dict[int, Trial] = {}
    tables: dict[int, pd.DataFrame] = {}
    for answered, sources in bar:
        index, answer = answered.index, answered.generation
        prompt, forced = prompts[index], None
        if score == "teacher-forced":
            forced = teacher_forced_copy(model, prompt, context=answered.context)
        trial = judge_trial(
            index,
            prompt,
            answer,
            sources,
            tokenizer,
            min_recall=min_recall,
            teacher_forced=forced,
        )
        events = find_copy_events(index, prompt, answer.tokens, sources, tokenizer)
        trials[index], tables[index] = trial, events
        bar.set_postfix(accepted=sum(t.accepted for t in trials.values()), refresh=False)
        if on_trial is not None:
            on_trial(trial, events)
    return _result(model, score, threshold, trials, tables)


def _answers_with_sources(
    model: Bridge, prompts: Sequence[NeedlePrompt], options: dict[str, Any]
) -> Iterator[tuple[Answer, AttentionSources]]:
    """Each prompt's answer and the rows that predicted the answer's tokens."""
    recorders: dict[int, SourceRecorder] = {}

    def hooks_for(index: int) -> FwdHooks:
        recorders[index] = answer_recorder(model, prompts[index])
        return recorders[index].fwd_hooks()

    for answer in answer_prompts(model, prompts, hooks_for=hooks_for, **options):
        rows = recorders.pop(answer.index).result()
        n_prompt, n_steps = len(prompts[answer.index].tokens), len(answer.generation.tokens)
        yield answer, rows.answer_rows(n_prompt, n_steps)


def _result(
    model: Bridge,
    score: ScoreName,
    threshold: float,
    trials: dict[int, Trial],
    tables: dict[int, pd.DataFrame],
) -> RetrievalResult:
    """Trials and events in the order of the prompts, scored."""
    order = sorted(trials)
    events = CopyEvents.join(tables[index] for index in order)
    in_order = tuple(trials[index] for index in order)
    return RetrievalResult(
        scores=score_trials(score, events, in_order),
        events=events,
        trials=in_order,
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


def _default_length(prompts: Sequence[NeedlePrompt]) -> int:
    """Room for the longest needle answer and half as much again, 32 tokens at least."""
    longest = max(len(prompt.answer_tokens) for prompt in prompts)
    return max(32, longest + longest // 2)
