"""`rh-lens detect --compat official`: scores as the published code computes them."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rh_lens.cli import options

if TYPE_CHECKING:
    from rh_lens.detection import OfficialResult
    from rh_lens.prompts import NeedlePrompt
    from rh_lens.runtime import Bridge

# Tokens of an answer in the published code.
MAX_NEW_TOKENS = 50


def require_new_folder(out: Path) -> None:
    """Refuse a folder with files.

    Raises:
        FileExistsError: There are some.
    """
    if any(out.iterdir()):
        raise FileExistsError(
            f"Expected a new or empty folder; found files in {str(out)!r}. Choose another with "
            "--out: scores in the published way are not resumed."
        )


def run(
    args: argparse.Namespace, model: "Bridge", prompts: "Sequence[NeedlePrompt]", out: Path
) -> int:
    """Detect, print a summary and then write a folder, which was made sure of before.

    It is no run folder, as its scores do not follow from its trials: `official.json` (what was
    run), `official_trials.csv`, `scores.csv`, and `head_scores.json` for the other commands.
    """
    from rh_lens.detection import NoAcceptedTrialsError, detect_official
    from rh_lens.views import describe_official

    description = options.describe_run("detect", args, model, list(prompts))
    try:
        result = detect_official(
            model,
            prompts,
            threshold=args.threshold,
            max_new_tokens=args.max_new_tokens or MAX_NEW_TOKENS,
            progress=not args.quiet,
        )
    except NoAcceptedTrialsError as error:
        print(f"rh-lens: no result: {error}", file=sys.stderr)
        return 1
    print(describe_official(result), end="\n\n", flush=True)
    _save(out, description, result)
    print(f"Saved in {out}; compare {out / 'head_scores.json'}")
    return 0


def _save(out: Path, description: dict[str, Any], result: "OfficialResult") -> None:
    """Each file whole or not at all; the one that other commands read comes last."""
    from rh_lens.records import replacing, write_head_scores

    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / "official.json") as temporary:
        text = json.dumps(description, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    with replacing(out / "official_trials.csv") as temporary:
        result.to_dataframe().to_csv(temporary, index=False)
    with replacing(out / "scores.csv") as temporary:
        result.detection.to_dataframe().to_csv(temporary, index=False)
    with replacing(out / "head_scores.json") as temporary:
        write_head_scores(result.scores, temporary)
