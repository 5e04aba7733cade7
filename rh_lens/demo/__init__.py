"""The bundled model: its text, its training, its weights."""

from rh_lens.demo.load import DEMO_MODEL_FOLDER, load_demo_model
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
    "example_task",
    "load_demo_model",
    "reading_items",
    "sum_items",
]
