"""The sceptic's alternatives: would these heads and scores have come out anyway?"""

from rh_lens.doubts.activity import ActivityPrediction, predict_activity, sink_at_failures
from rh_lens.doubts.alternatives import Alternatives, silence_instead
from rh_lens.doubts.case import DoubtCase, doubt_case
from rh_lens.doubts.checklist import DOUBTS, DoubtTest, run_doubts
from rh_lens.doubts.choices import Choices, Option, score_choices
from rh_lens.doubts.copied_where import COPY_COLUMNS, answer_spans, copied_where, said_where
from rh_lens.doubts.copy_gain import CopyGain, copy_gain
from rh_lens.doubts.dose_response import DoseResponse, dose_response
from rh_lens.doubts.fed_answers import Conditions, FedAnswers, fed_answers
from rh_lens.doubts.head_null import HeadNull, with_nulls
from rh_lens.doubts.joint_effects import JointEffects, ShapleyValues, joint_effects, shapley_values
from rh_lens.doubts.kind_scores import KindScores, kind_scores
from rh_lens.doubts.log import DoubtLog, load_checklist
from rh_lens.doubts.matched_heads import (
    MatchedHeads,
    MatchingTraits,
    matched_heads,
    matching_traits,
)
from rh_lens.doubts.needle_stream import needle_stream_lost
from rh_lens.doubts.nulls import (
    permuted_answers,
    random_spans,
    shuffled_labels,
    shuffled_steps,
    with_other_needles,
)
from rh_lens.doubts.operator_agreement import OperatorAgreement, operator_agreement
from rh_lens.doubts.plain_text import PlainText, plain_text_losses
from rh_lens.doubts.random_models import random_models
from rh_lens.doubts.recording import AnswerRows, record_answers, record_trials
from rh_lens.doubts.timing import StepEffects, step_effects
from rh_lens.doubts.verdicts import (
    Checklist,
    Doubt,
    DoubtVerdict,
    all_of,
    verdict_above,
    verdict_pvalue,
    verdict_within,
)
from rh_lens.doubts.windows import WindowCurve, sliding_window, window_curve

__all__ = [
    "COPY_COLUMNS",
    "DOUBTS",
    "ActivityPrediction",
    "Alternatives",
    "AnswerRows",
    "Checklist",
    "Choices",
    "Conditions",
    "CopyGain",
    "DoseResponse",
    "Doubt",
    "DoubtCase",
    "DoubtLog",
    "DoubtTest",
    "DoubtVerdict",
    "FedAnswers",
    "HeadNull",
    "JointEffects",
    "KindScores",
    "MatchedHeads",
    "MatchingTraits",
    "OperatorAgreement",
    "Option",
    "PlainText",
    "ShapleyValues",
    "StepEffects",
    "WindowCurve",
    "all_of",
    "answer_spans",
    "copied_where",
    "copy_gain",
    "dose_response",
    "doubt_case",
    "fed_answers",
    "joint_effects",
    "kind_scores",
    "load_checklist",
    "matched_heads",
    "matching_traits",
    "needle_stream_lost",
    "operator_agreement",
    "permuted_answers",
    "plain_text_losses",
    "predict_activity",
    "random_models",
    "random_spans",
    "record_answers",
    "record_trials",
    "run_doubts",
    "said_where",
    "score_choices",
    "shapley_values",
    "shuffled_labels",
    "shuffled_steps",
    "silence_instead",
    "sink_at_failures",
    "sliding_window",
    "step_effects",
    "verdict_above",
    "verdict_pvalue",
    "verdict_within",
    "window_curve",
    "with_nulls",
    "with_other_needles",
]
