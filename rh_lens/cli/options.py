"""Arguments that several commands have, and what becomes of them."""

import argparse
import json
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rh_lens.checks import MAX_SEED, shown
from rh_lens.cli.arguments import MAX_ENTRIES, lengths, path, whole, words
from rh_lens.cli.bundled import DEMO, bundled, folder_name, model_name

if TYPE_CHECKING:
    from rh_lens.detection import RetrievalScores
    from rh_lens.heads import Head
    from rh_lens.prompts import Haystack, Needle, NeedlePrompt, Template
    from rh_lens.runs import Shard
    from rh_lens.runtime import Bridge, StopRule

DTYPES = ("float32", "bfloat16", "float16")
DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
NO_STOP = "none"


class _Lengths(list[int]):
    """Lengths that help shows as they are typed."""

    def __str__(self) -> str:
        return ",".join(map(str, self))


DEFAULT_LENGTHS = _Lengths([128, 256, 512])
"""Taken where no lengths are given: this very object, by which that can be told."""


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which model, and how to run it."""
    add = parser.add_argument
    add(
        "--model",
        type=model_name,
        default=DEMO,
        help="demo (bundled), demo:NAME (another bundled one), a hub name or a folder",
    )
    add_loading(parser)


def add_loading(parser: argparse.ArgumentParser) -> None:
    """How to load a model."""
    add = parser.add_argument
    add("--revision", type=words, help="commit, tag or branch of a hub model; default: its newest")
    add("--device", type=device, help="cpu, cuda, ...; default: an accelerator if there is one")
    add("--device-map", type=words, metavar="MAP", help="spread the model over several devices: "
        "auto, balanced or sequential, or a JSON file with a device for each module, as "
        "transformers names them; not with --device")  # fmt: skip
    add("--dtype", choices=DTYPES, default="float32", help="precision of the weights")


def device(text: str) -> str:
    """A device that this machine has; refused before anything else happens."""
    from rh_lens.runtime import require_device

    try:
        return str(require_device(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_prompts(parser: argparse.ArgumentParser) -> None:
    """Which needle prompts."""
    add = parser.add_argument
    add("--lengths", type=lengths, default=DEFAULT_LENGTHS, help="prompt lengths in tokens")
    add(
        "--depths",
        type=whole(1, MAX_ENTRIES),
        default=10,
        help="number of depths, uniform from 0 to 1",
    )
    add("--needles", type=path, metavar="FILE", help="JSON lines; default: the package's own")
    add("--haystack", type=words, default="synthetic",
        help="synthetic, pydoc, a folder, a file or hf:OWNER/NAME:COLUMN@REVISION")  # fmt: skip
    add("--allow-repeat", action="store_true", help="repeat a haystack that is too short")
    add(
        "--template",
        type=words,
        default="base",
        help="base, chat, a file, or text with {context}, {question}",
    )
    add("--seed", type=whole(0, MAX_SEED - 2), default=0, help="seed of the synthetic haystack")
    add(
        "--max-new-tokens",
        type=whole(1, MAX_ENTRIES),
        help="longest answer in tokens; default: by the needles",
    )
    add("--stop", action="append", type=stop_text, metavar="TEXT", help=r"text that ends an answer "
        r"beside the end of sequence, \n for a line break; may be repeated; none for no text. "
        "Default: a line break, unless a needle's answer holds one")  # fmt: skip
    add("--distractors", type=whole(0, MAX_ENTRIES), metavar="N",
        help="at most this many of each needle's distractors; default: all it has")  # fmt: skip
    add("--inexact-spans", choices=("keep", "drop"), default="keep", help="drop: leave out needles "
        "whose answer's tokens hold more than the answer (default: %(default)s)")  # fmt: skip


def stop_text(text: str) -> str:
    r"""A stop string from a command line, where \n, \r, \t and \\ stand for one character."""
    if not text:
        raise argparse.ArgumentTypeError(
            "expected a text, or none; found an empty one. Leave --stop out for the default"
        )
    escapes = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}
    return re.sub(r"\\([nrt\\])", lambda match: escapes[match[1]], text)


def load_model(args: argparse.Namespace) -> "Bridge":
    """The model that the arguments name, if it can be searched."""
    import torch

    from rh_lens import runtime

    dtype = getattr(torch, args.dtype)
    if demo := bundled(args.model):
        if args.revision is not None:
            raise ValueError(
                f"Expected --revision for a hub model only; found {args.revision!r} for the "
                "bundled one. Leave it out, or name a model with --model."
            )
        if args.device_map is not None:
            raise ValueError(
                f"Expected --device-map for other models; found {args.device_map!r} for the "
                "bundled one, which is small. Leave it out."
            )
        from rh_lens.demo import load_demo_model

        return load_demo_model(demo, device=args.device or "cpu", dtype=dtype)
    model = runtime.load_model(
        args.model,
        device=args.device,
        device_map=_device_map(args),
        dtype=dtype,
        revision=args.revision,
        progress=not getattr(args, "quiet", False) and sys.stderr.isatty(),
    )
    runtime.require_decoder(model)
    return model


def _device_map(args: argparse.Namespace) -> "str | dict[str, str | int] | None":
    """Where the model's parts go: a name that transformers knows, or the mapping in a file."""
    named = args.device_map
    if named is None or named in DEVICE_MAPS:
        return named
    path = Path(named)
    if not path.is_file():
        raise ValueError(
            f"Expected --device-map as one of {', '.join(DEVICE_MAPS)} or a JSON file; found "
            f"{shown(named)}, and no such file. Check the spelling or the path."
        )
    try:
        places = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"Expected JSON in {shown(named)}; found {shown(str(error))}. Write an object such as "
            '{"model.embed_tokens": 0, "model.layers.0": 1}.'
        ) from None
    if not isinstance(places, dict):
        raise ValueError(
            f"Expected an object in {shown(named)}; found {type(places).__name__}. Write a device "
            'for each module, such as {"model.layers.0": 1}.'
        )
    return places


def named_scores(args: argparse.Namespace) -> "RetrievalScores | None":
    """The scores that the arguments name; None for a bundled model, whose are found anew."""
    from rh_lens.runs import read_scores

    if args.scores:
        return read_scores(args.scores)
    if bundled(args.model):
        return None
    raise ValueError(
        f"Expected scores of the heads of {args.model!r}; found no run folder and no score file "
        "among the arguments. Run rh-lens detect first and name its folder."
    )


def heads_above(
    args: argparse.Namespace, scores: "RetrievalScores"
) -> "tuple[tuple[Head, ...], list[float]]":
    """The best heads of those at a threshold, and their scores.

    Args:
        args: With `threshold`, `heads` (the most of them) and `scores` (where they come from).
        scores: Read from there.

    Raises:
        ValueError: No head reaches the threshold.
    """
    mean = scores.mean()
    heads = [one for one in scores.heads(args.threshold) if mean[one.layer, one.head] > 0]
    if not heads:
        raise ValueError(
            f"Expected heads with a score of {args.threshold:g} or more in {str(args.scores)!r}; "
            "found none. Lower it with --threshold."
        )
    chosen = tuple(heads[: args.heads])
    return chosen, [float(mean[one.layer, one.head]) for one in chosen]


def build_prompts(
    args: argparse.Namespace,
    model: "Bridge",
    haystack: "Haystack",
    needles: "Sequence[Needle]",
    template: "Template",
) -> "list[NeedlePrompt]":
    """The grid of needle prompts that the arguments describe, with room for their answers."""
    from rh_lens.detection import room_for_answers
    from rh_lens.prompts import build_grid, harder_prompts

    def grid(room: int) -> "list[NeedlePrompt]":
        asked: dict[str, Any] = {
            "context_lengths": args.lengths,
            "depths": args.depths,
            "template": template,
            "max_context": model.cfg.n_ctx - room,
            "allow_repeat": args.allow_repeat,
            "n_distractors": args.distractors,
            "inexact_spans": args.inexact_spans,
        }
        if kind := getattr(args, "haystack_kind", None):
            return harder_prompts(model.tokenizer, haystack, kind, needles=needles, **asked)
        return build_grid(model.tokenizer, haystack, needles, **asked)

    # How long the needles' answers are in tokens is known only when they stand in prompts.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        prompts = grid(args.max_new_tokens or room_for_answers(()))
    room = args.max_new_tokens or room_for_answers(prompts)
    if max(args.lengths) + room > model.cfg.n_ctx:
        return grid(room)
    for warning in caught:
        print(f"rh-lens: {warning.message}", file=sys.stderr)
    return prompts


def stop_rule(args: argparse.Namespace, model: "Bridge") -> "StopRule | None":
    """What ends an answer by the arguments; None where they leave it to the needles."""
    from rh_lens import runtime

    if not args.stop:
        return None
    strings = () if args.stop == [NO_STOP] else args.stop
    eos = runtime.eos_token_ids(model)
    return runtime.stop_rule(model.tokenizer, newline=False, strings=strings, eos=eos)


def values(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments by name."""
    return {name: value for name, value in vars(args).items() if name != "run"}


def shard_of(args: argparse.Namespace) -> "Shard | None":
    """The part of a run that this process answers, by --shard or its launcher; None: all of it.

    Raises:
        ValueError: There is no such shard, or a shard has no --out.
    """
    from rh_lens.runs import Shard
    from rh_lens.runs.launcher import launched_shard

    shard = launched_shard() if args.shard is None else Shard.parse(args.shard)
    if shard is None or shard.of == 1:
        return None
    if args.out is None:
        raise ValueError(
            f"Expected --out for shard {shard}, the same for all shards; found none. Name the "
            "folder, or pass --shard 1/1 if RANK and WORLD_SIZE are of another program."
        )
    return shard


@contextmanager
def reserved(args: argparse.Namespace, prefix: str = "") -> Iterator[Path]:
    """Context in which the folder for results is there, and this process's alone.

    It is `--out`, or a new one in rh_lens_runs; empty afterwards, it is removed.

    Args:
        args: With `out` and `model`.
        prefix: Of the new folder's name.

    Raises:
        OSError: It can't be made or written to, or another process has it.
    """
    from rh_lens.runs import reserve_folder, reserve_new_folder

    if args.out is not None:
        with reserve_folder(args.out) as folder:
            yield folder
        return
    name = "-".join(part for part in (prefix, run_name(args.model)) if part)
    with reserve_new_folder(Path("rh_lens_runs"), name) as folder:
        yield folder


def run_name(model: str) -> str:
    """A folder name from the model's and the time, such as `demo-20260102-030405`."""
    return f"{folder_name(model)}-{datetime.now():%Y%m%d-%H%M%S}"
