"""Results made readable: text, and pictures."""

# Importing a text registers it with `summarise`.
from rh_lens.views import (  # noqa: F401
    ablation_text,
    audit_text,
    comparison_text,
    official_text,
    plan_text,
    run_text,
)
from rh_lens.views.ablation_plot import plot_curve
from rh_lens.views.summarise import summarise

__all__ = [
    "plot_curve",
    "summarise",
]
