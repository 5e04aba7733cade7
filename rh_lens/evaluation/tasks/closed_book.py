"""What a model knows without the document: such items test no retrieval."""

import re
from dataclasses import dataclass, replace

import pandas as pd

from rh_lens.checks import require_number, require_type, shown
from rh_lens.evaluation.tasks.evaluate import evaluate_task
from rh_lens.evaluation.tasks.task import Task
from rh_lens.runtime import DEFAULT_EXECUTION, Bridge, Execution


@dataclass(frozen=True, eq=False)
class ClosedBookSplit:
    """A task's items by whether the model answers them without their document.

    Args:
        task: The task with the items that it does not know, and those without a document.
        n_known: Items that it knows, which were left out.
        n_asked: Items that were asked without their document.
        answers: What it said to each without the document, as `TaskResult.answers` has it.
    """

    task: Task
    n_known: int
    n_asked: int
    answers: pd.DataFrame

    def __repr__(self) -> str:
        return (
            f"ClosedBookSplit({self.task.name!r}: {self.n_known} of {self.n_asked} items are known "
            f"without their document; {len(self.task.items)} are left)"
        )


def without_known_items(
    model: Bridge,
    task: Task,
    *,
    min_score: float = 0.5,
    chat: bool = False,
    progress: bool = True,
    execution: Execution = DEFAULT_EXECUTION,
) -> ClosedBookSplit:
    """The task without the items that the model answers when the document is left out.

    What it knows by heart, or guesses, says nothing about retrieval: Wu et al. 2024
    (arXiv:2404.15574, section 4.2) ask about documents that the model can't have read. The prompt
    is the task's own without the document; an item is known when its first score is above
    `min_score`. Items of which no answer is right (SQuAD 2.0) are kept without being asked.

    Args:
        model: A TransformerBridge.
        task: A task whose items have documents and questions.
        min_score: An item is known above this score.
        chat: Whether to write prompts in the tokenizer's chat format.
        progress: Whether to show a progress bar.
        execution: How prompts are read and answers decoded.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The score is out of range, no item has a document and a question, or the model
            knows all of them.

    Examples:
        >>> split = without_known_items(model, example_task("qa", 4), progress=False)
        >>> len(split.task.items)
        4
    """
    require_type("task", task, Task, remedy="Make one with Task, or load_task.")
    require_number("min_score", min_score, at_least=0, at_most=1)
    asked = [item for item in task.items if item.context and item.question and item.answers]
    if not asked or "{question}" not in task.template.text:
        raise ValueError(
            f"Expected items with a document and a question in task {shown(task.name)}; found none "
            "that can be asked without its document. Leave the filter out."
        )
    bare = replace(
        task,
        items=tuple(replace(item, context="") for item in asked),
        template=replace(task.template, text=re.sub(r"\{context\}\s*", "", task.template.text)),
    )
    result = evaluate_task(model, bare, chat=chat, progress=progress, execution=execution)
    known = set(result.answers.loc[result.answers[task.metric] > min_score, "item"])
    kept = tuple(item for item in task.items if item.id not in known)
    if not kept:
        raise ValueError(
            f"Expected items that the model can't answer without their document; found that it "
            f"knows all {len(asked)} of task {shown(task.name)}. Take documents that it has not "
            "read."
        )
    return ClosedBookSplit(replace(task, items=kept), len(known), len(asked), result.answers)
