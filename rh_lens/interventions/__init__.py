"""Changing heads while a model runs."""

from rh_lens.interventions.ablation import zero_ablation

__all__ = ["zero_ablation"]
