"""The table of bad values, by room; run it to see the totals and what is not refused well."""

import importlib
import sys
import tempfile
from pathlib import Path

from bad_calls import Entry, Verdict, totals, try_all
from bad_command_calls import try_command
from bad_commands import COMMANDS
from good_things import Things

ROOMS = {
    "heads": "bad_analysis.HEADS",
    "analysis": "bad_analysis.ANALYSIS",
    "interventions": "bad_interventions.INTERVENTIONS",
    "views": "bad_interventions.VIEWS",
    "bench": "bad_interventions.BENCH",
    "prompts": "bad_prompts.PROMPTS",
    "demo": "bad_prompts.DEMO",
    "circuits": "bad_circuits.CIRCUITS bad_survey.SURVEY",
    "uses": "bad_uses.USES bad_ranking.RANKING",
    "runtime": "bad_runtime.RUNTIME",
    "detection": "bad_detection.DETECTION bad_kernels.KERNELS",
    "evaluation": "bad_evaluation.EVALUATION",
    "evaluation.tasks": "bad_tasks.TASKS",
    "doubts": "bad_doubts.DOUBTS",
    "runs": "bad_runs.RUNS",
    "formats": "bad_runs.FORMATS",
}


def entries_of(room: str) -> list[Entry]:
    places = [place.partition(".") for place in ROOMS[room].split()]
    return [
        entry
        for module, _, name in places
        for entry in getattr(importlib.import_module(module), name)
    ]


def main(rooms: list[str]) -> None:
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as empty:
        things = Things(Path(made))
        for room in [r for r in rooms or ROOMS if r in ROOMS]:
            for entry in entries_of(room):
                entry.good(things)
                verdicts += try_all(room, entry, things, Path(empty))
    if not rooms or "commands" in rooms:
        with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as empty:
            things = Things(Path(made))
            for name in ["main", *COMMANDS]:
                verdicts += try_command(name, things, Path(empty))
    for verdict in verdicts:
        if verdict.outcome != "refused well":
            print(f"{verdict.outcome:14} {verdict.call}: {verdict.said[:300]}".replace("\n", " "))
    print("\n".join(totals((v.room, v.outcome) for v in verdicts)))


if __name__ == "__main__":
    main(sys.argv[1:])
