"""`rh-lens detect --compat official`: scores as the published code computes them."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rh_lens.cli import options

if TYPE_CHECKING:
    from rh_lens.prompts import NeedlePrompt
    from rh_lens.runtime import Bridge

# Tokens of an answer in the published code.
MAX_NEW_TOKENS = 50


def run(
    args: argparse.Namespace, model: "Bridge", prompts: "Sequence[NeedlePrompt]", out: Path
) -> int:
    """Detect, print a summary and write a folder.

    It is no run folder, as its scores do not follow from its trials: `official.json` (what was
    run), `official_trials.csv`, `scores.csv`, and `head_scores.json` for the other commands.
    """
    from rh_lens.detection import NoAcceptedTrialsError, detect_official
    from rh_lens.records import write_head_scores
    from rh_lens.views import describe_official

    if out.exists() and any(out.iterdir()):
        raise FileExistsError(
            f"Expected a new or empty folder; found files in {str(out)!r}. Choose another with "
            "--out: scores in the published way are not resumed."
        )
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
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(description, indent=2, ensure_ascii=False)
    (out / "official.json").write_text(text + "\n", encoding="utf-8")
    result.to_dataframe().to_csv(out / "official_trials.csv", index=False)
    result.detection.to_dataframe().to_csv(out / "scores.csv", index=False)
    write_head_scores(result.scores, out / "head_scores.json")
    print(f"{describe_official(result)}\n\nSaved in {out}; compare {out / 'head_scores.json'}")
    return 0
