"""Finding the retrieval heads of a model: the composition of the other files."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Unpack

from tqdm.auto import tqdm

from rh_lens.checks import require_type
from rh_lens.detection.capture import SourceRecorder, answer_recorder
from rh_lens.detection.detection_options import (
    DetectionChoices,
    DetectionOptions,
    detection_options,
)
from rh_lens.detection.events import CopyEvents, find_copy_events
from rh_lens.detection.result import RetrievalResult, score_trials
from rh_lens.detection.score_table import SCORES
from rh_lens.detection.sources import AttentionSources
from rh_lens.detection.statement import Until
from rh_lens.detection.trial import judge_trial
from rh_lens.detection.trial_log import MemoryLog, TrialLog, TrialWithEvents
from rh_lens.detection.until import Stopping, as_until
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.prompts.needle_prompt import warn_of_repeats
from rh_lens.runtime import (
    DEFAULT_EXECUTION,
    Answer,
    Bridge,
    Execution,
    FwdHooks,
    answer_prompts,
    architecture_of,
    require_answering,
)


def detect_retrieval_heads(
    model: Bridge,
    prompts: Iterable[NeedlePrompt],
    *,
    execution: Execution = DEFAULT_EXECUTION,
    log: TrialLog | None = None,
    progress: bool = True,
    until: Until | Literal["stable"] | None = None,
    **choices: Unpack[DetectionChoices],
) -> RetrievalResult:
    """Retrieval heads of a model: those that look at the needle's token the model says next.

        result = detect_retrieval_heads(model, prompts, score="event", max_new_tokens=16)

    Each prompt is answered greedily while every head's most-attended position is recorded; copies
    from the answer span are counted and averaged over the accepted trials (Wu et al. 2024,
    arXiv:2404.15574). Hooks that the caller holds open with `model.hooks(...)` stay in force, so
    an ablated model can be searched too; they must treat all positions of a pass alike, as prompts
    are read in pieces. The model is left as it was found.

    One thread at a time runs on a model; another one is refused (`exclusive_use`).

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts, from `build_prompt` or `build_grid`.
        execution: How prompts are read and answers decoded; moves no token and no source in fp32.
        log: Where trials are kept as they end, such as a `RunFolder`; trials that it has already
            are part of the result. Only the prompts that it misses are answered: their numbers are
            those that they have among all prompts, to the last bit. None: all, kept in memory.
        progress: Whether to show a progress bar.
        until: What is to be known before the detection stops: an `Until`, or "stable", for which
            heads have the threshold or more. Prompts then come in random order, seeded, needles
            before cells, and the result's `statement` says what is known. None: all prompts.
        choices: What is asked, the fields of `DetectionOptions` by name: `score`, `threshold`,
            `min_recall`, `max_new_tokens` and `stop`.

    Returns:
        Scores, events and trials, rejected ones with their reasons.

    Raises:
        NoAcceptedTrialsError: The model retrieved no needle (not with "teacher-forced" or
            "fed-attention").
        ModelInUseError: Another thread is using the model.
        RuntimeError: The chosen way of reading disagrees with the plain bridge.
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: There is no prompt, a choice is out of range, the model has no attention or no
            KV cache, a prompt does not fit its context window, the log is of other prompts, or a
            score that may exceed 1 is to stop early.

    Examples:
        >>> found = detect_retrieval_heads(model, prompts[:2], progress=False)
        >>> [head.label for head in found.heads()]
        ['L2H2', 'L2H3', 'L2H4', 'L2H5', 'L2H1', 'L1H6', 'L1H7']
    """
    require_answering(execution=execution, progress=progress)
    architecture_of(model)
    prompts = require_prompts(prompts)
    warn_of_repeats(prompts)
    options = detection_options(model, prompts, **choices)
    log = MemoryLog(range(len(prompts))) if log is None else log
    require_type("log", log, TrialLog, remedy="Pass a RunFolder or a MemoryLog.")
    ended = _require_same_prompts(log.done, prompts)
    missing = _require_indices(log.missing, prompts)
    stopping = _stopping(model, prompts, options, until)
    run = _Run(model, prompts, options, log, execution)
    with tqdm(
        initial=len(ended),
        total=len(ended) + len(missing),
        desc="answering",
        unit="prompt",
        disable=not progress,
    ) as bar:
        for unit in [None] if stopping is None else stopping.units:
            for trial, events in run.answer(missing, unit):
                ended[trial.index] = trial, events
                accepted = sum(trial.accepted for trial, _ in ended.values())
                bar.set_postfix(accepted=accepted, refresh=False)
                bar.update()
                log.add(trial, events)
            if stopping and stopping.add({index: ended[index] for index in unit or ()}):
                break
    result = _result(model, options, ended)
    return replace(result, statement=stopping.statement) if stopping else result


def _stopping(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    options: DetectionOptions,
    until: Any,
) -> Stopping | None:
    """The prompts in units, and what is known after each; None where all are to be answered."""
    wanted = as_until(until)
    if wanted is None:
        return None
    shape = int(model.cfg.n_layers), int(model.cfg.n_heads)
    return Stopping(wanted, prompts, options.score, options.threshold, shape)


@dataclass(frozen=True, eq=False)
class _Run:
    """A detection: what is asked, of whom, and where its trials are kept."""

    model: Bridge
    prompts: Sequence[NeedlePrompt]
    options: DetectionOptions
    log: TrialLog
    execution: Execution

    def answer(
        self, missing: Collection[int], unit: Sequence[int] | None
    ) -> Iterator[TrialWithEvents]:
        """The trials that are missing: all, or those of a unit, which is answered by itself."""
        places = range(len(self.prompts)) if unit is None else unit
        wanted = {at for at, index in enumerate(places) if index in missing}
        prompts = [self.prompts[index] for index in places]
        if not wanted:
            return
        for answer, sources in self._recorded_answers(prompts, places, wanted):
            yield _trial_of_answer(
                self.model,
                prompts[answer.index],
                replace(answer, index=places[answer.index]),
                sources,
                self.options,
            )

    def _recorded_answers(
        self, prompts: Sequence[NeedlePrompt], places: Sequence[int], wanted: Collection[int]
    ) -> Iterator[tuple[Answer, AttentionSources]]:
        """Each prompt's answer, and the rows that predicted all it said, its end included."""
        recorders: dict[int, SourceRecorder] = {}

        def listen(name: str, at: int) -> FwdHooks:
            self.log.start(places[at])
            recorders[at] = answer_recorder(self.model, prompts[at])
            return recorders[at].fwd_hooks()

        for together in answer_prompts(
            self.model,
            prompts,
            max_new_tokens=self.options.max_new_tokens,
            stop=self.options.stop,
            listen=listen,
            done={("plain", at) for at in range(len(prompts)) if at not in wanted},
            execution=self.execution,
        ):
            for answer in together.values():
                rows = recorders.pop(answer.index).result()
                n_prompt, n_said = len(prompts[answer.index].tokens), len(answer.generation.said)
                yield answer, rows.answer_rows(n_prompt, n_said)


def _trial_of_answer(
    model: Bridge,
    prompt: NeedlePrompt,
    answer: Answer,
    sources: AttentionSources,
    options: DetectionOptions,
) -> TrialWithEvents:
    """The trial that an answer makes, with what its score needs from now, and its events."""
    score, tokens = SCORES[options.score], answer.generation.tokens
    # Now: `answer.context` holds the prompt until the next answer is asked for.
    recorded = score.record(model, prompt, answer, sources) if score.record else {}
    sources = sources.answer_rows(len(prompt.tokens), len(tokens))
    trial = judge_trial(
        answer.index,
        prompt,
        answer.generation,
        sources,
        model.tokenizer,
        min_recall=options.min_recall,
        recorded_scores=recorded,
    )
    events = find_copy_events(answer.index, prompt, tokens, sources, model.tokenizer)
    return score.judge(trial), events


def _result(
    model: Bridge, options: DetectionOptions, ended: Mapping[int, TrialWithEvents]
) -> RetrievalResult:
    """Trials and events in the order of the prompts, scored."""
    in_order = [ended[index] for index in sorted(ended)]
    trials = tuple(trial for trial, _ in in_order)
    events = CopyEvents.join(table for _, table in in_order)
    return RetrievalResult(
        scores=score_trials(options.score, events, trials),
        events=events,
        trials=trials,
        threshold=options.threshold,
        n_heads=model.cfg.n_heads,
        n_kv_heads=architecture_of(model).n_kv_heads,
    )


def _require_indices(missing: Collection[int], prompts: Sequence[NeedlePrompt]) -> frozenset[int]:
    """The indices of the prompts to answer, all of them prompts'."""
    unknown = sorted(set(missing) - set(range(len(prompts))))
    if unknown:
        raise ValueError(
            f"Expected log to name prompts by their index, 0 to {len(prompts) - 1}; found "
            f"{unknown[:5]}. Pass the whole list of prompts, and a log with indices into it."
        )
    return frozenset(missing)


def _require_same_prompts(
    done: Mapping[int, TrialWithEvents], prompts: Sequence[NeedlePrompt]
) -> dict[int, TrialWithEvents]:
    """A copy of what is done, whose trials are of these prompts."""
    for index, (trial, _) in done.items():
        found = prompts[index].sha256 if 0 <= index < len(prompts) else "no such prompt"
        if trial.index != index or trial.prompt.sha256 != found:
            raise ValueError(
                f"Expected trial {index} of the log to be of prompt {index}, with the SHA-256 "
                f"{found[:16]}; found trial {trial.index} of a prompt with "
                f"{trial.prompt.sha256[:16]}. Pass the prompts that the trials were made with."
            )
    return dict(done)
