"""Asking a task's items under conditions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tqdm.auto import tqdm

from rh_lens.checks import require_callable, require_type
from rh_lens.evaluation.kept_answers import (
    KeptAnswer,
    KeptAnswers,
    answers_with_looks,
    as_kept,
    require_kept_answers,
)
from rh_lens.evaluation.tasks.choosing import chosen_answers
from rh_lens.evaluation.tasks.prompts import task_prompts
from rh_lens.evaluation.tasks.result import TaskResult, result_of
from rh_lens.evaluation.tasks.task import Task
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions.editing import head_counts, require_heads
from rh_lens.prompts import DocumentPrompt
from rh_lens.runtime import (
    DEFAULT_EXECUTION,
    Bridge,
    Condition,
    ConditionLike,
    Execution,
    StopRule,
    as_conditions,
    eos_token_ids,
    require_answering,
    require_bridge,
    stop_rule,
)


def evaluate_task(
    model: Bridge,
    task: Task,
    conditions: Mapping[str, ConditionLike] | None = None,
    *,
    heads: HeadsLike = (),
    chat: bool = False,
    progress: bool = True,
    execution: Execution = DEFAULT_EXECUTION,
    done: KeptAnswers | None = None,
    on_answers: Callable[[KeptAnswers], object] | None = None,
) -> TaskResult:
    """What a model answers to a task under each condition, and how right it is.

        zeroed = zero_ablation(heads, model=model)
        evaluate_task(model, task, {"plain": [], "without": zeroed}).summary()

    Prompts of one document share its reading, conditions that act on decoding only share the whole
    prompt's, and answers are guessed by looking them up in their prompt where that pays.

    Args:
        model: A TransformerBridge.
        task: From `load_task`, a loader such as `load_squad`, or made with `Task`.
        conditions: Hooks and their scope, by name; hooks alone act all along. None: the model as
            it is, under the name "plain".
        heads: Heads whose attention is recorded, for `chain_steps`; not for tasks that choose.
        chat: Whether to write prompts in the tokenizer's chat format.
        progress: Whether to show a progress bar.
        execution: How prompts are read and answers decoded.
        done: Answers that are there already, by condition and place of the item, such as
            `TaskResult.kept` of an earlier call; they are not asked for again.
        on_answers: Called with new answers as they end.

    Raises:
        RuntimeError: The chosen way of reading disagrees with the plain bridge, or a condition's
            hook was never called.
        TypeError: An argument is of another type, such as a model that is no TransformerBridge.
        ValueError: There is no condition, a head is not the model's, a prompt does not fit the
            model, or what is done is of something else.

    Examples:
        >>> rows = [{"context": "The key is here.", "question": "Where is it?", "answers": "here"}]
        >>> conditions = {"plain": [], "without": zero_ablation(heads)}
        >>> found = evaluate_task(model, load_own(rows), conditions, progress=False)
        >>> found.summary()[["condition", "n_items"]]
          condition  n_items
        0     plain        1
        1   without        1
    """
    require_bridge(model)
    require_type("task", task, Task, remedy="Make one with Task, or load_task.")
    named = as_conditions({"plain": Condition()} if conditions is None else conditions)
    chosen = as_heads(heads)
    require_heads(chosen, head_counts(model))
    require_answering(execution=execution, progress=progress)
    if on_answers is not None:
        require_callable("on_answers", on_answers)
    prompts = task_prompts(model.tokenizer, task, chat=chat)
    kept = as_kept(done)
    if task.answering == "choose" and chosen:
        raise ValueError(
            f"Expected heads to be none for a task that chooses by log-probability; found "
            f'{len(chosen)}. Take answering="generate" to see where heads look.'
        )
    require_kept_answers(kept, named, len(prompts), chosen)
    kept = ask_items(
        model, task, prompts, named, chosen, kept, execution, on_answers, progress=progress
    )
    order = [(name, place) for name in named for place in range(len(prompts))]
    return result_of(task, prompts, {key: kept[key] for key in order}, chosen)


def ask_items(
    model: Bridge,
    task: Task,
    prompts: Sequence[DocumentPrompt],
    conditions: Mapping[str, Condition],
    heads: Sequence[Head],
    done: KeptAnswers,
    execution: Execution,
    on_answers: Callable[[KeptAnswers], object] | None,
    *,
    progress: bool,
    places: Sequence[int] | None = None,
) -> dict[tuple[str, int], KeptAnswer]:
    """Answers under conditions, what is done included.

    Args:
        model: A TransformerBridge.
        task: What is asked.
        prompts: Its prompts, item by item.
        conditions: Hooks and their scope, by name.
        heads: Heads whose attention is recorded.
        done: Answers that are there already.
        execution: How prompts are read and answers decoded.
        on_answers: Called with new answers as they end.
        progress: Whether to show a progress bar.
        places: Places of the items that are asked; None: all.
    """
    places = range(len(prompts)) if places is None else places
    kept = dict(done)
    wanted = {(name, place) for name in conditions for place in places}
    left_out = {(n, p) for n in conditions for p in range(len(prompts))} - wanted
    with tqdm(
        total=len(wanted),
        initial=len(wanted & kept.keys()),
        desc=f"answering {task.name}",
        unit="answer",
        disable=not progress,
    ) as bar:
        skip = left_out | kept.keys()
        if wanted <= skip:
            return kept
        for new in _answers(model, task, prompts, conditions, heads, skip, execution):
            if on_answers is not None:
                on_answers(new)
            kept |= new
            bar.update(len(new))
    return kept


def _answers(
    model: Bridge,
    task: Task,
    prompts: Sequence[DocumentPrompt],
    conditions: Mapping[str, Condition],
    heads: Sequence[Head],
    skip: set[tuple[str, int]],
    execution: Execution,
) -> Iterator[dict[tuple[str, int], KeptAnswer]]:
    """New answers as they end, by generation or by choice."""
    if task.answering == "choose":
        return chosen_answers(model, task, prompts, conditions, skip, execution)
    options: dict[str, Any] = {
        "max_new_tokens": task.max_new_tokens,
        "stop": stop_of(model, task),
        "execution": execution,
    }
    return answers_with_looks(model, prompts, conditions, heads, skip, options)


def stop_of(model: Bridge, task: Task) -> StopRule:
    """What ends an answer: the task's own texts, and every end of sequence of the model."""
    eos = eos_token_ids(model)
    return stop_rule(model.tokenizer, newline=False, strings=task.stop, eos=eos)
