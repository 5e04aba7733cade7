"""Arguments that several commands have, and what becomes of them."""

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rh_lens.prompts import Haystack, Needle, NeedlePrompt, Template
    from rh_lens.runtime import Bridge

DEMO = "demo"
DTYPES = ("float32", "bfloat16", "float16")
# Tokens that a prompt leaves free in the context window, where --max-new-tokens does not say.
ROOM_FOR_ANSWER = 32


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which model, and how to run it."""
    add = parser.add_argument
    add("--model", default=DEMO, help="demo (bundled, the default), a hub name or a folder")
    add("--revision", help="commit, tag or branch of a hub model")
    add("--device", help="cpu, cuda, ...; default: an accelerator if there is one")
    add("--dtype", choices=DTYPES, default="float32", help="default: %(default)s")


def add_prompts(parser: argparse.ArgumentParser) -> None:
    """Which needle prompts."""
    add = parser.add_argument
    add("--lengths", type=lengths, default="128,256,512", help="prompt lengths in tokens")
    add("--depths", type=int, default=10, help="number of depths, uniform from 0 to 1")
    add("--needles", type=Path, metavar="FILE", help="JSON lines; default: the package's own")
    add("--haystack", default="synthetic", help="synthetic, pydoc, a folder, a text file or "
        "hf:OWNER/NAME:COLUMN@REVISION")  # fmt: skip
    add("--allow-repeat", action="store_true", help="repeat a haystack that is too short")
    add("--template", default="base", help="base, chat, a file, or text with {context}, {question}")
    add("--seed", type=int, default=0, help="seed of the synthetic haystack")
    add("--max-new-tokens", type=int, help="longest answer in tokens; default: by the needles")


def lengths(text: str) -> list[int]:
    """Prompt lengths from "128,256"."""
    try:
        values = [int(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or min(values) < 1:
        raise argparse.ArgumentTypeError(f"expected lengths such as 128,256, found {text!r}")
    return values


def load_model(args: argparse.Namespace) -> "Bridge":
    """The model that the arguments name."""
    import torch

    dtype = getattr(torch, args.dtype)
    if args.model == DEMO:
        from rh_lens.demo import load_demo_model

        return load_demo_model(device=args.device or "cpu", dtype=dtype)
    from rh_lens import runtime

    return runtime.load_model(args.model, device=args.device, dtype=dtype, revision=args.revision)


def build_prompts(
    args: argparse.Namespace,
    model: "Bridge",
    haystack: "Haystack",
    needles: "Sequence[Needle]",
    template: "Template",
) -> "list[NeedlePrompt]":
    """The grid of needle prompts that the arguments describe."""
    from rh_lens.prompts import build_grid

    return build_grid(
        model.tokenizer,
        haystack,
        needles,
        context_lengths=args.lengths,
        depths=args.depths,
        template=template,
        max_context=model.cfg.n_ctx - (args.max_new_tokens or ROOM_FOR_ANSWER),
        allow_repeat=args.allow_repeat,
    )


def describe_run(
    command: str, args: argparse.Namespace, model: "Bridge", prompts: "list[NeedlePrompt]"
) -> dict[str, Any]:
    """What goes into `run.json`: enough to repeat the command."""
    from rh_lens.records import (
        describe_machine,
        describe_model,
        package_versions,
        prompts_sha256,
    )

    values = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in vars(args).items()
        if key != "run"
    }
    return {
        "command": command,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "arguments": values,
        "model": describe_model(model, args.model),
        "n_prompts": len(prompts),
        "prompts_sha256": prompts_sha256(prompts),
        "haystack_sha256": prompts[0].haystack_sha256,
        "versions": package_versions(),
        "machine": describe_machine(),
    }


def run_name(model: str) -> str:
    """A folder name from the model's and the time, such as `demo-20260102-030405`."""
    return f"{Path(model).name}-{datetime.now():%Y%m%d-%H%M%S}"
