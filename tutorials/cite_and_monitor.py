"""Sources and warnings on longer documents and on questions of a reading task.

Needles in documents of about 1,000 tokens, and questions about documents that hold three other
facts: precision and recall of cited places (by retrieval heads, by the mean of all heads, by a
search for the words), and how well a monitor tells wrong answers, which was fitted to short
documents with other needles.

    python tutorials/cite_and_monitor.py
"""

import argparse
import warnings
from typing import Any

import pandas as pd

from rh_lens import default_needles, evaluation_needles, synthetic_haystack
from rh_lens.demo import load_demo_model
from rh_lens.demo.tasks import reading_items
from rh_lens.uses import (
    citation_cases,
    citation_quality,
    fit_monitor,
    monitor_quality,
    monitored_answers,
    question_cases,
)

HEADS = ["L2H2", "L2H3", "L2H4", "L2H5"]
WEAKENED = (1.0, 0.3)


def main() -> None:
    """Print both tables for both kinds of documents."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--needles", type=int, default=12)
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--characters", type=int, default=3800)
    parser.add_argument("--only", choices=["questions", "long"])
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    pd.set_option("display.width", 200, "display.max_columns", 20)
    model, quiet = load_demo_model(), {"progress": False}
    short = citation_cases(synthetic_haystack(seed=2), default_needles()[:8], n_characters=450)
    options: dict[str, Any] = {"weakened": WEAKENED, **quiet}
    monitor = fit_monitor(monitored_answers(model, short, HEADS, **options))
    needles = evaluation_needles()[: args.needles]
    # Of each document's four facts one is asked about: documents are independent.
    items = reading_items(args.questions, n_facts=4, seed=11)[::4]
    sets = {
        "questions": question_cases(items),
        "long": citation_cases(synthetic_haystack(seed=5), needles, n_characters=args.characters),
    }
    for name, cases in sets.items():
        if args.only not in (None, name):
            continue
        n_tokens = [len(model.tokenizer(case.document).input_ids) for case in cases]
        print(f"\n{name}: {len(cases)} documents of {min(n_tokens)} to {max(n_tokens)} tokens")
        found = citation_quality(model, cases, HEADS, **quiet).summary().round(3)
        print(found.to_string(index=False), flush=True)
        answers = monitored_answers(model, cases, HEADS, **options)
        print(f"{int(answers['wrong'].sum())} of {len(answers)} answers are wrong")
        print(monitor_quality(monitor, answers).round(3).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
