"""`rh-lens detect --compat official`: what is printed and written beside a run of any score."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from rh_lens.cli import output

if TYPE_CHECKING:
    from rh_lens.detection import RetrievalResult
    from rh_lens.runs import RunFolder


def report(
    args: argparse.Namespace, run: "RunFolder", result: "RetrievalResult", tokenizer: Any
) -> None:
    """Print a summary of a whole run, and then write two more files into its folder.

    They are `official.json` (what was run) and `official_trials.csv` (where the published code
    finds each answer); each of them is there whole or not at all.
    """
    from rh_lens.detection import official_result
    from rh_lens.files import replacing
    from rh_lens.runs import load_run
    from rh_lens.runs.description import what_it_is
    from rh_lens.views import summarise

    scored = official_result(result, tokenizer)
    output.say(args, summarise(scored, heat_map=output.draws_characters()), end="\n\n")
    with replacing(run.path / "official.json") as temporary:
        description = what_it_is(load_run(run.path).description)
        text = json.dumps(description, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    with replacing(run.path / "official_trials.csv") as temporary:
        scored.to_dataframe().to_csv(temporary, index=False)
