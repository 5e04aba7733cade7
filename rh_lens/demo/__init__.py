"""The bundled models: their text, their training, their weights."""

from rh_lens.demo.bundled import DEMO_MODEL_FOLDER, demo_models
from rh_lens.demo.load import load_demo_model
from rh_lens.demo.moments import score_moments, score_weights, snapshots
from rh_lens.demo.tasks import (
    chain_items,
    choice_items,
    example_task,
    reading_items,
    sum_items,
)

__all__ = [
    "DEMO_MODEL_FOLDER",
    "chain_items",
    "choice_items",
    "demo_models",
    "example_task",
    "load_demo_model",
    "reading_items",
    "score_moments",
    "score_weights",
    "snapshots",
    "sum_items",
]
