"""`rh-lens show`: a run as one HTML page."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rh_lens.cli import output
from rh_lens.cli.arguments import numbers, path, words
from rh_lens.cli.bundled import DEMO, bundled
from rh_lens.cli.inputs import require_not_an_input

if TYPE_CHECKING:
    from rh_lens.analysis import Emergence
    from rh_lens.runs import StoredRun

_DEMO_TITLE = "the bundled model"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Write one HTML file that tells of a run: in words, as pictures with their numbers, and "
        "token by token. It opens in any browser, without network."
    )
    parser.set_defaults(run=_run)
    add = parser.add_argument
    add("folder", type=path, metavar="RUN", help="folder of rh-lens detect")
    add("--ablation", type=path, metavar="FOLDER", help="folder of rh-lens ablate")
    add("--survey", type=path, metavar="FOLDER", help="folder of rh-lens describe")
    add("--doubts", type=path, metavar="FOLDER", help="folder of rh-lens doubt")
    add("--tasks", type=path, action="append", metavar="FOLDER", help="folder of rh-lens "
        "evaluate; may be repeated")  # fmt: skip
    add("--uses", type=path, action="append", metavar="FOLDER", help="folder of rh-lens "
        "compress or rank; may be repeated")  # fmt: skip
    add("--note", type=words, action="append", help="a sentence to show below the claims; may be "
        "repeated")  # fmt: skip
    add("--claims", type=path, action="append", metavar="FILE",
        help="claims.json of another command; may be repeated")  # fmt: skip
    add("--out", type=path, default=Path("report.html"), metavar="FILE",
        help="default: %(default)s")  # fmt: skip
    add("--trials", type=numbers, metavar="I,I,...",
        help="trials shown token by token; default: eight right and four wrong ones")  # fmt: skip
    add("--title", type=words, help="of the page; default: the model's name")
    output.add_json(parser)


def _run(args: argparse.Namespace) -> int:
    from rh_lens.doubts import load_checklist
    from rh_lens.runs import (
        load_ablation,
        load_claims,
        load_evaluation,
        load_run,
        load_survey,
        load_use,
    )
    from rh_lens.views.page import save_page

    files = args.claims or []
    require_not_an_input(args.out, [one for one in (args.folder, args.ablation, *files) if one])
    claims = [claim for file in files for claim in load_claims(file)]
    survey = load_survey(args.survey) if args.survey else None
    doubts = load_checklist(args.doubts) if args.doubts else None
    tasks = [load_evaluation(folder) for folder in args.tasks or []]
    uses = [load_use(folder) for folder in args.uses or []]
    run = load_run(args.folder)
    name = run.description.get("model", {}).get("name")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_page(
        run,
        args.out,
        ablation=load_ablation(args.ablation) if args.ablation else None,
        tokenizer=_tokenizer(run),
        trials=args.trials,
        claims=claims,
        survey=survey,
        doubts=doubts,
        tasks=tasks,
        uses=uses,
        notes=args.note or [],
        title=args.title or _demo_title(name),
        emergence=_training_of(name),
    )
    output.say(args, f"Saved in {args.out}: open it in a browser.")
    output.print_record(args, out=str(args.out), run=str(args.folder), **run.accounting())
    return 0


def _demo_title(name: Any) -> str | None:
    """The title of a bundled model's page; None for other models."""
    if name == DEMO:
        return _DEMO_TITLE
    demo = bundled(str(name))
    return f"{_DEMO_TITLE} {demo}" if demo else None


def _training_of(name: Any) -> "Emergence | None":
    """Heads over the training of a bundled model that has snapshots; None for all others."""
    if not (demo := bundled(str(name))):
        return None
    from rh_lens.demo import demo_models, snapshots
    from rh_lens.demo.moments import SNAPSHOTS

    folder = demo_models().get(demo)
    return snapshots(demo) if folder and (folder / SNAPSHOTS).is_file() else None


def _tokenizer(run: "StoredRun") -> Any:
    """The run's tokenizer, where this machine has it; None, and why, where not."""
    from rh_lens.views.page import require_own_tokenizer

    model = run.description.get("model", {})
    try:
        found = _load_tokenizer(model.get("name"), model.get("revision"))
        require_own_tokenizer(found, run.events)
        return found
    except (OSError, TypeError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
    print(
        f"rh-lens: without the tokenizer of {str(model.get('name'))[:100]!r} ({why}): tokens that "
        "no head copied are shown by their numbers.",
        file=sys.stderr,
    )
    return None


def _load_tokenizer(name: Any, revision: str | None) -> Any:
    """A tokenizer from the package or from this machine's disk, never from the network.

    Raises:
        OSError: It is not there.
        TypeError: The name is no text.
        ValueError: It can't be read.
    """
    from transformers import AutoTokenizer

    if demo := bundled(str(name)):
        from rh_lens.demo.bundled import demo_folder

        return AutoTokenizer.from_pretrained(demo_folder(demo))
    return AutoTokenizer.from_pretrained(name, revision=revision, local_files_only=True)
