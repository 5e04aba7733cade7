"""What models do with retrieval: reading, reasoning and knowing, asked under conditions."""

from rh_lens.evaluation.tasks.comparison import difference_in_differences
from rh_lens.evaluation.tasks.curve import TaskCurve, task_curve
from rh_lens.evaluation.tasks.evaluate import evaluate_task
from rh_lens.evaluation.tasks.extraction import (
    Extraction,
    choice_letter,
    final_answer,
    first_line,
    last_number,
    stated_answer,
    whole_text,
)
from rh_lens.evaluation.tasks.item import LETTERS, TaskItem
from rh_lens.evaluation.tasks.prompts import examples_from, keep_fitting, task_prompts
from rh_lens.evaluation.tasks.result import TaskResult
from rh_lens.evaluation.tasks.scoring import (
    TaskScore,
    contains_all,
    contains_any,
    exact_match,
    hotpot_f1,
    normalise_answer,
    same_letter,
    same_number,
    token_f1,
)
from rh_lens.evaluation.tasks.task import Answering, Task
from rh_lens.evaluation.tasks.template import (
    ANSWER_ONLY,
    CHAIN,
    CHOICES,
    READING,
    READING_CHAIN,
    READING_OR_NOT,
    WHOLE,
    TaskTemplate,
)

__all__ = [
    "ANSWER_ONLY",
    "CHAIN",
    "CHOICES",
    "LETTERS",
    "READING",
    "READING_CHAIN",
    "READING_OR_NOT",
    "WHOLE",
    "Answering",
    "Extraction",
    "Task",
    "TaskCurve",
    "TaskItem",
    "TaskResult",
    "TaskScore",
    "TaskTemplate",
    "choice_letter",
    "contains_all",
    "contains_any",
    "difference_in_differences",
    "evaluate_task",
    "exact_match",
    "examples_from",
    "final_answer",
    "first_line",
    "hotpot_f1",
    "keep_fitting",
    "last_number",
    "normalise_answer",
    "same_letter",
    "same_number",
    "stated_answer",
    "task_curve",
    "task_prompts",
    "token_f1",
    "whole_text",
]
