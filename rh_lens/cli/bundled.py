"""Bundled models on the command line: `demo`, and `demo:NAME`."""

import argparse
from pathlib import Path

from rh_lens.checks import did_you_mean, shown
from rh_lens.cli.arguments import words

DEMO = "demo"


def model_name(text: str) -> str:
    """A model's name; one of a bundled model is refused if there is none of it.

    The first bundled model is "demo", also where it is named.
    """
    if not words(text).startswith(f"{DEMO}:"):
        return text
    from rh_lens.demo.bundled import FIRST_MODEL, demo_models

    models = [f"{DEMO}:{name}" for name in demo_models()]
    if text not in models:
        raise argparse.ArgumentTypeError(
            f"expected a bundled model ({', '.join(models)}), a hub name or a folder; found "
            f"{shown(text)}. {did_you_mean(text, models)}".rstrip()
        )
    return DEMO if text == f"{DEMO}:{FIRST_MODEL}" else text


def bundled(name: str) -> str | None:
    """The bundled model that `--model` names, as `load_demo_model` takes it; None for others."""
    kind, _, which = name.partition(":")
    if kind != DEMO:
        return None
    from rh_lens.demo.bundled import FIRST_MODEL

    return which or FIRST_MODEL


def folder_name(model: str) -> str:
    """A folder's name from a model's, such as `demo-scholar` from `demo:scholar`."""
    return Path(model).name.replace(":", "-")
