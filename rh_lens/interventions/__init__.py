"""Changing heads while a model runs."""

from rh_lens.interventions.ablation import (
    mean_ablation,
    resample_ablation,
    scale_heads,
    zero_ablation,
)
from rh_lens.interventions.attention_bonus import add_attention_bonus
from rh_lens.interventions.controls import ControlDraws, Match, NoControlsError, control_heads
from rh_lens.interventions.directions import add_direction, project_out, random_ablation
from rh_lens.interventions.following_bonus import follow_attention
from rh_lens.interventions.head_outputs import (
    HeadOutputs,
    RowKind,
    head_outputs,
    mean_head_outputs,
)
from rh_lens.interventions.head_traits import TRAITS, HeadTraits, head_traits
from rh_lens.interventions.knockout import knock_out_edges
from rh_lens.interventions.operators import OperatorName, operator_named
from rh_lens.interventions.rankings import Family, RankingDraws, draw_rankings
from rh_lens.interventions.uniform import uniform_attention

__all__ = [
    "TRAITS",
    "ControlDraws",
    "Family",
    "HeadOutputs",
    "HeadTraits",
    "Match",
    "NoControlsError",
    "OperatorName",
    "RankingDraws",
    "RowKind",
    "add_attention_bonus",
    "add_direction",
    "control_heads",
    "draw_rankings",
    "follow_attention",
    "head_outputs",
    "head_traits",
    "knock_out_edges",
    "mean_ablation",
    "mean_head_outputs",
    "operator_named",
    "project_out",
    "random_ablation",
    "resample_ablation",
    "scale_heads",
    "uniform_attention",
    "zero_ablation",
]
