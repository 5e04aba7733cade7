"""The bundled model: its text, its training, its weights."""

from rh_lens.demo.load import DEMO_MODEL_FOLDER, load_demo_model

__all__ = ["DEMO_MODEL_FOLDER", "load_demo_model"]
