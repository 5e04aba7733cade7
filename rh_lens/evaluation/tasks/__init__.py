"""What models do with retrieval: reading, reasoning and knowing, asked under conditions."""

from rh_lens.evaluation.tasks.chain_steps import chain_breaks, chain_steps
from rh_lens.evaluation.tasks.closed_book import ClosedBookSplit, without_known_items
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
from rh_lens.evaluation.tasks.gsm8k import load_gsm8k
from rh_lens.evaluation.tasks.hotpotqa import load_hotpotqa
from rh_lens.evaluation.tasks.item import LETTERS, TaskItem
from rh_lens.evaluation.tasks.load import TASKS, load_task
from rh_lens.evaluation.tasks.loading import with_chain
from rh_lens.evaluation.tasks.long_context import load_longbench, load_ruler
from rh_lens.evaluation.tasks.mmlu import load_mmlu
from rh_lens.evaluation.tasks.musique import load_musique
from rh_lens.evaluation.tasks.own import load_own
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
from rh_lens.evaluation.tasks.squad import load_squad
from rh_lens.evaluation.tasks.tables import TaskTables, task_tables
from rh_lens.evaluation.tasks.task import Answering, Task
from rh_lens.evaluation.tasks.task_claims import claims_of_task, unmeasured_tasks
from rh_lens.evaluation.tasks.template import (
    ANSWER_ONLY,
    CHAIN,
    CHOICES,
    CHOICES_CHAIN,
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
    "CHOICES_CHAIN",
    "LETTERS",
    "READING",
    "READING_CHAIN",
    "READING_OR_NOT",
    "TASKS",
    "WHOLE",
    "Answering",
    "ClosedBookSplit",
    "Extraction",
    "Task",
    "TaskCurve",
    "TaskItem",
    "TaskResult",
    "TaskScore",
    "TaskTables",
    "TaskTemplate",
    "chain_breaks",
    "chain_steps",
    "choice_letter",
    "claims_of_task",
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
    "load_gsm8k",
    "load_hotpotqa",
    "load_longbench",
    "load_mmlu",
    "load_musique",
    "load_own",
    "load_ruler",
    "load_squad",
    "load_task",
    "normalise_answer",
    "same_letter",
    "same_number",
    "stated_answer",
    "task_curve",
    "task_prompts",
    "task_tables",
    "token_f1",
    "unmeasured_tasks",
    "whole_text",
    "with_chain",
    "without_known_items",
]
