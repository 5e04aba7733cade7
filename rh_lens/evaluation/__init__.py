"""What a model answers, and how sure one can be of it."""

from rh_lens.evaluation.ablation_plan import AblationPlan, HeadSet
from rh_lens.evaluation.ablation_tables import AblationTables, ablation_tables
from rh_lens.evaluation.activity import ACTIVITY_COLUMNS, HeadLooks
from rh_lens.evaluation.answer_plan import ablation_curve, answer_plan
from rh_lens.evaluation.claims import Claim, Verdict, claims_table, unmeasured_claim
from rh_lens.evaluation.curve_claims import claims_of_ablation, unmeasured_silencing
from rh_lens.evaluation.curve_perplexity import curve_perplexity
from rh_lens.evaluation.curves import AblationCurve, SetAnswers, SetLosses
from rh_lens.evaluation.draw_plan import default_ks, plan_ablation
from rh_lens.evaluation.equivalence import equivalence_pvalue
from rh_lens.evaluation.error_intervals import error_intervals
from rh_lens.evaluation.error_rules import ERROR_TYPES, ErrorRules
from rh_lens.evaluation.errors import ERROR_COLUMNS, classify_errors, error_shares
from rh_lens.evaluation.failing_steps import first_failing_step
from rh_lens.evaluation.grid_choice import GridChoice, Packed, choose_grid
from rh_lens.evaluation.intervals import (
    Estimate,
    difference_interval,
    mean_interval,
    unbounded_interval,
)
from rh_lens.evaluation.kept_answers import KeptAnswer, KeptAnswers
from rh_lens.evaluation.packing import PackingCheck, check_packing
from rh_lens.evaluation.permutation import (
    permutation_pvalue,
    sequential_pvalue,
    sign_flip_pvalue,
    step_down_pvalues,
    stop_after,
)
from rh_lens.evaluation.perplexity import perplexity
from rh_lens.evaluation.recall import RecallResult, needle_recall
from rh_lens.evaluation.refusals import REFUSALS
from rh_lens.evaluation.text_losses import window_losses

__all__ = [
    "ACTIVITY_COLUMNS",
    "ERROR_COLUMNS",
    "ERROR_TYPES",
    "REFUSALS",
    "AblationCurve",
    "AblationPlan",
    "AblationTables",
    "Claim",
    "ErrorRules",
    "Estimate",
    "GridChoice",
    "HeadLooks",
    "HeadSet",
    "KeptAnswer",
    "KeptAnswers",
    "Packed",
    "PackingCheck",
    "RecallResult",
    "SetAnswers",
    "SetLosses",
    "Verdict",
    "ablation_curve",
    "ablation_tables",
    "answer_plan",
    "check_packing",
    "choose_grid",
    "claims_of_ablation",
    "claims_table",
    "classify_errors",
    "curve_perplexity",
    "default_ks",
    "difference_interval",
    "equivalence_pvalue",
    "error_intervals",
    "error_shares",
    "first_failing_step",
    "mean_interval",
    "needle_recall",
    "permutation_pvalue",
    "perplexity",
    "plan_ablation",
    "sequential_pvalue",
    "sign_flip_pvalue",
    "step_down_pvalues",
    "stop_after",
    "unbounded_interval",
    "unmeasured_claim",
    "unmeasured_silencing",
    "window_losses",
]
