"""The `rh-lens` command: arguments, library calls, what is printed and saved."""

# Nothing heavy is imported here: `rh-lens --help` answers at once.
import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from rh_lens.prompts import Needle, NeedlePrompt, Template
    from rh_lens.runtime import Bridge

DEMO = "demo"
SCORES = ("position", "event", "token-set", "teacher-forced", "attention-mass")
DTYPES = ("float32", "bfloat16", "float16")
# Tokens that a prompt leaves free in the context window, where --max-new-tokens does not say.
ROOM_FOR_ANSWER = 32


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 no result, 2 bad input, 130 stopped."""
    args = _parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except (ValueError, TypeError, OSError) as error:
        print(f"rh-lens: error: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("rh-lens: stopped", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="rh-lens", description="Find the retrieval heads of a language model.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_detect(commands.add_parser("detect", help="score every head of a model"))
    _add_bench(commands.add_parser("bench", help="time detection against plain generation"))
    return parser


def _add_detect(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Ask a model about needles in a haystack, find which heads copy the answers, and write "
        "scores, events and trials to a folder. Without arguments: the bundled model."
    )
    parser.set_defaults(run=_detect)
    add = parser.add_argument
    add("--model", default=DEMO, help="demo (bundled, the default), a hub name or a folder")
    add("--revision", help="commit, tag or branch of a hub model")
    add("--lengths", type=_lengths, default="128,256,512", help="prompt lengths in tokens")
    add("--depths", type=int, default=10, help="number of depths, uniform from 0 to 1")
    add("--needles", type=Path, metavar="FILE", help="JSON lines; default: the package's own")
    add("--haystack", default="synthetic", help="synthetic, pydoc, a folder, a text file or "
        "hf:OWNER/NAME:COLUMN@REVISION")  # fmt: skip
    add("--allow-repeat", action="store_true", help="repeat a haystack that is too short")
    add("--template", default="base", help="base, chat, a file, or text with {context}, {question}")
    add("--closed-book", action="store_true",
        help="leave out needles that the model answers without the haystack")  # fmt: skip
    add("--score", choices=SCORES, default="position", help="default: %(default)s")
    add("--threshold", type=float, default=0.1, help="retrieval heads score this much or more")
    add("--max-new-tokens", type=int, help="longest answer in tokens; default: by the needles")
    add("--device", help="cpu, cuda, ...; default: an accelerator if there is one")
    add("--dtype", choices=DTYPES, default="float32", help="default: %(default)s")
    add("--seed", type=int, default=0, help="seed of the synthetic haystack")
    add("--out", type=Path, metavar="DIR", help="run folder; default: a new one in rh_lens_runs")
    add("--save-prompts", action="store_true", help="keep the prompts' token ids in trials.jsonl")
    add("--quiet", action="store_true", help="no progress bar")


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Time five ways to answer the same needle prompts: (a) Hugging Face generate, nothing "
        "recorded; (b) run_with_cache on patterns; (c) generation with pattern hooks; (d) eager "
        "steps as published; (e) detection with rh_lens. Each at ten depths, on the bundled model "
        "and on Llamas with random weights."
    )
    parser.set_defaults(run=_bench)
    parser.add_argument("--quick", action="store_true", help="the bundled model only")
    parser.add_argument("--repeats", type=int, default=3, help="times each is run (default: 3)")
    parser.add_argument("--device", default="cpu", help="cpu (the default), cuda, ...")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="save the table as CSV as it grows"
    )


def _lengths(text: str) -> list[int]:
    """Prompt lengths from "128,256"."""
    try:
        lengths = [int(part) for part in text.split(",")]
    except ValueError:
        lengths = []
    if not lengths or min(lengths) < 1:
        raise argparse.ArgumentTypeError(f"expected lengths such as 128,256, found {text!r}")
    return lengths


def _detect(args: argparse.Namespace) -> int:
    from rh_lens.detection import NoAcceptedTrialsError, detect_retrieval_heads
    from rh_lens.prompts import build_grid, load_haystack, load_template
    from rh_lens.records import RunFolder
    from rh_lens.views import summarise

    out = args.out or Path("rh_lens_runs") / _run_name(args.model)
    # Before the model, which may take long to load: a mistake in these shows at once.
    haystack, needles = load_haystack(args.haystack, seed=args.seed), _needles(args)
    model = _load(args)
    template = load_template(args.template, model.tokenizer)
    if args.closed_book:
        needles = _unknown(model, needles, template)
    prompts = build_grid(
        model.tokenizer,
        haystack,
        needles,
        context_lengths=args.lengths,
        depths=args.depths,
        template=template,
        max_context=model.cfg.n_ctx - (args.max_new_tokens or ROOM_FOR_ANSWER),
        allow_repeat=args.allow_repeat,
    )
    with RunFolder(out, _description(args, model, prompts), save_prompts=args.save_prompts) as run:
        try:
            result = detect_retrieval_heads(
                model,
                prompts,
                score=args.score,
                threshold=args.threshold,
                max_new_tokens=args.max_new_tokens,
                progress=not args.quiet,
                on_trial=run.add,
            )
        except NoAcceptedTrialsError as error:
            print(f"rh-lens: no result: {error}\nThe trials are in {out}", file=sys.stderr)
            return 1
        run.finish(result)
    print(f"{summarise(result)}\n\nSaved in {out}")
    return 0


def _load(args: argparse.Namespace) -> "Bridge":
    import torch

    dtype = getattr(torch, args.dtype)
    if args.model == DEMO:
        from rh_lens.demo import load_demo_model

        return load_demo_model(device=args.device or "cpu", dtype=dtype)
    from rh_lens.runtime import load_model

    return load_model(args.model, device=args.device, dtype=dtype, revision=args.revision)


def _needles(args: argparse.Namespace) -> "Sequence[Needle]":
    from rh_lens.prompts import default_needles, load_needles

    return load_needles(args.needles) if args.needles else default_needles()


def _unknown(
    model: "Bridge", needles: "Sequence[Needle]", template: "Template"
) -> "Sequence[Needle]":
    """The needles that the model does not answer without the haystack; the others are named."""
    from rh_lens.detection import closed_book_check

    verdicts = closed_book_check(model, needles, template=template)
    for verdict in verdicts:
        if verdict.known:
            print(f"left out, answered without the haystack: {verdict.needle.question}")
    return [verdict.needle for verdict in verdicts if not verdict.known]


def _description(
    args: argparse.Namespace, model: "Bridge", prompts: "list[NeedlePrompt]"
) -> dict[str, Any]:
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
        "command": "detect",
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "arguments": values,
        "model": describe_model(model, args.model),
        "n_prompts": len(prompts),
        "prompts_sha256": prompts_sha256(prompts),
        "haystack_sha256": prompts[0].haystack_sha256,
        "versions": package_versions(),
        "machine": describe_machine(),
    }


def _bench(args: argparse.Namespace) -> int:
    import torch

    from rh_lens.bench import Row, run_benchmark, to_dataframe
    from rh_lens.records import describe_machine

    rows: list[Row] = []
    print(describe_machine())
    cells = run_benchmark(torch.device(args.device), quick=args.quick, n_repeats=args.repeats)
    for cell in cells:
        rows += cell
        if args.out:
            to_dataframe(rows).to_csv(args.out, index=False)
    print(to_dataframe(rows).to_string(index=False))
    return 0


def _run_name(model: str) -> str:
    """A folder name from the model's and the time, such as `demo-20260102-030405`."""
    return f"{Path(model).name}-{datetime.now():%Y%m%d-%H%M%S}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
