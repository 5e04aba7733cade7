"""The stages of a study: commands that write a folder each, and can be repeated alone."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rh_lens.cli.study_plan import Sizes

Words = list[str]


@dataclass(frozen=True)
class Stage:
    """One command of a study.

    Args:
        name: Of the stage, its command and its folder.
        what: What it is for, as a reader of the page knows it.
        words: Its command line, without `rh-lens`, for the minutes that are left.
        needed: Whether nothing can come after it if it fails.
    """

    name: str
    what: str
    words: Callable[[float], Words]
    needed: bool = False


def stages(args: argparse.Namespace, sizes: Sizes) -> list[Stage]:
    """The stages in their order; the last are left out first.

    Args:
        args: Of the study.
        sizes: How much is asked.
    """
    run = str(args.out / "run")
    model, prompts = _model(args), _prompts(args)
    needles = ["--needles", str(args.needles)] if args.needles else []
    short = sorted(args.lengths)[:2]

    def detect(minutes: float) -> Words:
        return ["detect", *model, "--lengths", _listed(args.lengths), "--depths",
                str(sizes.depths), *prompts, *needles, "--save-prompts", "--out", run,
                "--quiet"]  # fmt: skip

    def ablate(minutes: float) -> Words:
        return ["ablate", run, *model, "--lengths", _listed(short), "--depths",
                str(sizes.ablation_depths), *prompts, "--match", "layer,any", "--controls",
                str(sizes.controls), *_top(Path(run), all_ks=sizes.all_ks), "--out",
                str(args.out / "ablation"), "--quiet"]  # fmt: skip

    def describe(minutes: float) -> Words:
        return ["describe", run, *model, "--lengths", str(short[-1]), *prompts, *needles, "--out",
                str(args.out / "survey"), "--quiet"]  # fmt: skip

    def evaluate(minutes: float) -> Words:
        return ["evaluate", run, *model, "--task", "qa", "--asked", "usual", "--limit",
                str(sizes.items), *_top(Path(run), all_ks=False), "--controls",
                str(sizes.controls), "--out", str(args.out / "tasks"), "--quiet"]  # fmt: skip

    def doubt(minutes: float) -> Words:
        return ["doubt", run, *model, "--length", str(short[-1]), "--depths", "1", "--minutes",
                f"{max(minutes, 0.1):.1f}", "--out", str(args.out / "doubts")]  # fmt: skip

    def compress(minutes: float) -> Words:
        return ["compress", run, *model, "--lengths", str(short[-1]), "--depths", "1", *prompts,
                "--keep", "0,0.125,0.25,1", "--draws", "3", "--items", str(sizes.items), "--out",
                str(args.out / "compress"), "--quiet"]  # fmt: skip

    def rank(minutes: float) -> Words:
        return ["rank", run, *model, "--passages", "6", "--template", args.template, "--seed",
                str(args.seed), "--out", str(args.out / "rank"), "--quiet"]  # fmt: skip

    uses = [
        Stage("compress", "what a smaller cache costs", compress),
        Stage("rank", "whether they order passages", rank),
    ]
    return [
        Stage("detect", "which heads copy", detect, needed=True),
        Stage("ablate", "what happens without them", ablate),
        Stage("describe", "what else these heads do", describe),
        Stage("evaluate", "what they do for reading", evaluate),
        *(uses if args.uses else []),
        Stage("doubt", "would they have come out anyway", doubt),
    ]


def page_words(args: argparse.Namespace, notes: list[str]) -> Words:
    """The command that writes the page, with what there is."""
    from rh_lens.runs import USE_TABLES

    parts = {"--ablation": "ablation", "--survey": "survey", "--doubts": "doubts",
             "--tasks": "tasks"}  # fmt: skip
    files = {"ablation": "curve.csv", "survey": "survey.json", "doubts": "doubts.json",
             "tasks": "curve.csv"}  # fmt: skip
    found = [
        word
        for option, name in parts.items()
        if (args.out / name / files[name]).exists()
        for word in (option, str(args.out / name))
    ]
    found += [
        word
        for name, table in USE_TABLES.items()
        if (args.out / name / table).exists()
        for word in ("--uses", str(args.out / name))
    ]
    said = [word for note in notes for word in ("--note", note)]
    return ["show", str(args.out / "run"), *found, *said, "--out", str(args.out / "report.html")]


def _model(args: argparse.Namespace) -> Words:
    found = ["--model", args.model, "--dtype", args.dtype]
    found += ["--revision", args.revision] if args.revision else []
    return found + (["--device", args.device] if args.device else [])


def _prompts(args: argparse.Namespace) -> Words:
    found = ["--haystack", args.haystack, "--template", args.template, "--seed", str(args.seed)]
    return found + ["--allow-repeat"] * args.allow_repeat


def _listed(numbers: list[int]) -> str:
    return ",".join(map(str, numbers))


def _top(run: Path, *, all_ks: bool) -> Words:
    """Three quarters and all of the retrieval heads, where the curve is to be short."""
    if all_ks:
        return []
    from rh_lens.runs import load_run

    n = max(1, len(load_run(run).result().heads()))
    return ["--top", _listed(sorted({max(1, 3 * n // 4), n}))]
