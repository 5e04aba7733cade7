"""Results made readable: text, and pictures."""

# Importing a text registers it with `summarise`.
from rh_lens.views import (  # noqa: F401
    ablation_text,
    audit_text,
    comparison_text,
    doubts_text,
    official_text,
    plan_text,
    ranking_text,
    run_text,
    survey_text,
    task_text,
)
from rh_lens.views.ablation_plot import plot_curve
from rh_lens.views.answer_map_plot import plot_answer_map
from rh_lens.views.attention_views import view_patterns, view_sources
from rh_lens.views.choices_plot import plot_choices
from rh_lens.views.cited_page import save_cited_page
from rh_lens.views.cited_text import cited_text
from rh_lens.views.claims_text import claims_text
from rh_lens.views.compression_plot import plot_compression
from rh_lens.views.emergence_plot import explore_emergence, plot_emergence
from rh_lens.views.head_cells import HeadCells, head_cells
from rh_lens.views.heat_map import explore_heat_map, plot_heat_map
from rh_lens.views.lineage_plot import plot_score_pair, plot_similarities
from rh_lens.views.needle_grid import plot_needle_grid
from rh_lens.views.offline_view import OfflineView
from rh_lens.views.page import save_page
from rh_lens.views.score_profile_plot import plot_score_profile
from rh_lens.views.sorted_scores import plot_sorted_scores
from rh_lens.views.summarise import summarise
from rh_lens.views.task_plot import plot_tasks

__all__ = [
    "HeadCells",
    "OfflineView",
    "cited_text",
    "claims_text",
    "explore_emergence",
    "explore_heat_map",
    "head_cells",
    "plot_answer_map",
    "plot_choices",
    "plot_compression",
    "plot_curve",
    "plot_emergence",
    "plot_heat_map",
    "plot_needle_grid",
    "plot_score_pair",
    "plot_score_profile",
    "plot_similarities",
    "plot_sorted_scores",
    "plot_tasks",
    "save_cited_page",
    "save_page",
    "summarise",
    "view_patterns",
    "view_sources",
]
