"""The sceptic's alternatives: would these heads and scores have come out anyway?"""

from rh_lens.doubts.case import DoubtCase, doubt_case
from rh_lens.doubts.checklist import DOUBTS, DoubtTest, run_doubts
from rh_lens.doubts.dose_response import DoseResponse, dose_response
from rh_lens.doubts.fed_answers import Conditions, FedAnswers, fed_answers
from rh_lens.doubts.head_null import HeadNull, with_nulls
from rh_lens.doubts.log import DoubtLog
from rh_lens.doubts.nulls import (
    permuted_answers,
    random_spans,
    shuffled_labels,
    shuffled_steps,
    with_other_needles,
)
from rh_lens.doubts.random_models import random_models
from rh_lens.doubts.recording import AnswerRows, record_answers, record_trials
from rh_lens.doubts.verdicts import (
    Checklist,
    Doubt,
    DoubtVerdict,
    all_of,
    verdict_above,
    verdict_pvalue,
    verdict_within,
)

__all__ = [
    "DOUBTS",
    "AnswerRows",
    "Checklist",
    "Conditions",
    "DoseResponse",
    "Doubt",
    "DoubtCase",
    "DoubtLog",
    "DoubtTest",
    "DoubtVerdict",
    "FedAnswers",
    "HeadNull",
    "all_of",
    "dose_response",
    "doubt_case",
    "fed_answers",
    "permuted_answers",
    "random_models",
    "random_spans",
    "record_answers",
    "record_trials",
    "run_doubts",
    "shuffled_labels",
    "shuffled_steps",
    "verdict_above",
    "verdict_pvalue",
    "verdict_within",
    "with_nulls",
    "with_other_needles",
]
