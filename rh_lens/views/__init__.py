"""Results made readable."""

from rh_lens.views.audit import describe_audit
from rh_lens.views.comparison import describe_comparison, describe_results
from rh_lens.views.curve_plot import plot_curve
from rh_lens.views.curves import describe_curve, describe_failures
from rh_lens.views.official import describe_official
from rh_lens.views.plan import describe_plan
from rh_lens.views.summary import summarise

__all__ = [
    "describe_audit",
    "describe_comparison",
    "describe_curve",
    "describe_failures",
    "describe_official",
    "describe_plan",
    "describe_results",
    "plot_curve",
    "summarise",
]
