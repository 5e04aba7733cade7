"""Properties of a score table."""

from rh_lens.analysis.activation import (
    HeadActivation,
    ScoreProfile,
    context_entropy,
    head_activation,
    score_profile,
)
from rh_lens.analysis.answer_map import AnswerMap, answer_map
from rh_lens.analysis.audit import Audit, audit_scores
from rh_lens.analysis.comparison import LineageComparison, PairComparison, Similarity
from rh_lens.analysis.duplicates import DuplicateRuns, Repetition, duplicate_runs, repetition
from rh_lens.analysis.emergence import Emergence, Moment, emergence_of
from rh_lens.analysis.intervals import ScoreIntervals, score_intervals
from rh_lens.analysis.kv_groups import kv_group_means
from rh_lens.analysis.layer_profiles import layer_profile, sorted_score_distance
from rh_lens.analysis.lineage import compare_scores
from rh_lens.analysis.planner import SamplingPlan, plan_precision, plan_stability
from rh_lens.analysis.reliability import NeedleAgreement, SplitHalf, needle_agreement, split_half
from rh_lens.analysis.score_claims import claims_of_scores
from rh_lens.analysis.similarity import similarities
from rh_lens.analysis.sparsity import (
    Sparsity,
    ThresholdSensitivity,
    gini,
    measure_sparsity,
    threshold_sensitivity,
)
from rh_lens.analysis.trial_groups import CELL
from rh_lens.analysis.variance import VarianceComponents, variance_components

__all__ = [
    "CELL",
    "AnswerMap",
    "Audit",
    "DuplicateRuns",
    "Emergence",
    "HeadActivation",
    "LineageComparison",
    "Moment",
    "NeedleAgreement",
    "PairComparison",
    "Repetition",
    "SamplingPlan",
    "ScoreIntervals",
    "ScoreProfile",
    "Similarity",
    "Sparsity",
    "SplitHalf",
    "ThresholdSensitivity",
    "VarianceComponents",
    "answer_map",
    "audit_scores",
    "claims_of_scores",
    "compare_scores",
    "context_entropy",
    "duplicate_runs",
    "emergence_of",
    "gini",
    "head_activation",
    "kv_group_means",
    "layer_profile",
    "measure_sparsity",
    "needle_agreement",
    "plan_precision",
    "plan_stability",
    "repetition",
    "score_intervals",
    "score_profile",
    "similarities",
    "sorted_score_distance",
    "split_half",
    "threshold_sensitivity",
    "variance_components",
]
