"""The paper's claims about tasks, beside an evaluation's figures."""

import math
from typing import Any

import pandas as pd

from rh_lens.checks import require_text, require_type
from rh_lens.evaluation.claims import Claim, unmeasured_claim
from rh_lens.evaluation.curve_claims import chosen_k
from rh_lens.evaluation.tasks.tables import TaskTables

EVALUATE = "rh-lens evaluate RUN --model NAME --task TASK --asked both --out TASKS"

_READING: dict[str, Any] = {
    "statement": "Without its retrieval heads the model is worse at questions about a text that is "
    "in front of it.",
    "paper": "F1 falls by 9.2 and 23.1 points in extractive question answering",
    "place": "section 4.2",
}
_CHAIN: dict[str, Any] = {
    "statement": "Without its retrieval heads the model loses more where it writes out its way to "
    "the answer than where it answers at once.",
    "paper": "chains of thought suffer, answers alone hardly; no test",
    "place": "section 4.3",
    "what": "change with a chain of thought less that of the answer alone",
}


def claims_of_task(
    tables: TaskTables, k: int | None = None, *, command: str = EVALUATE
) -> list[Claim]:
    """What Wu et al. 2024 (arXiv:2404.15574) claim of tasks, and what an evaluation gives.

    | name | figure without the top `k` | holds if | does not hold if |
    |---|---|---|---|
    | reading | change in the task's score | it falls: `p_documents` | `p_equivalent` |
    | chain | difference of two ways' changes | the first loses more: `p_first` | `p_equivalent` |

    Each p-value decides at 0.05. `p_equivalent` refuses a change (a difference) of the margin or
    more: the heads leave the task alone. Documents are the unit. A task asked in one way has one
    claim: `reading`; one asked in two ways has `chain` only.

    Args:
        tables: From `task_tables` or a stored evaluation.
        k: Heads silenced, chosen before the answers were seen: the number of retrieval heads. None
            takes the largest K.
        command: The command that gives the figures.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The task was not asked at this K, or the command is blank.

    Examples:
        >>> curve = {"task": "qa", "k": 4, "metric": "f1", "n_documents": 12, "n_items": 24}
        >>> curve |= {"change": -0.5, "change_low": -0.7, "change_high": -0.3, "margin": 0.05}
        >>> curve |= {"p_documents": 0.001, "p_heads": 0.05, "p_equivalent": 1.0}
        >>> from pandas import DataFrame
        >>> claims_of_task(TaskTables(DataFrame([curve])))[0].verdict
        'holds'
    """
    require_type("tables", tables, TaskTables, remedy="Take it from task_tables.")
    require_text("command", command)
    asked = sorted({int(one) for one in tables.curve["k"] if one})
    if not asked:
        raise ValueError("Expected k to be above 0 somewhere; found only 0. Silence some heads.")
    k = chosen_k(asked, k)
    if tables.ways is not None:
        return [_chain(tables.ways[tables.ways["k"] == k].iloc[0], command)]
    return [_reading(tables.curve[tables.curve["k"] == k].iloc[0], k, command)]


def unmeasured_tasks(why: str, *, command: str = EVALUATE) -> list[Claim]:
    """The claims of `claims_of_task` without figures.

    Args:
        why: Why there are none.
        command: The command that would give them.

    Raises:
        TypeError: A value is no text.
        ValueError: A text is blank.

    Examples:
        >>> [(claim.name, claim.verdict) for claim in unmeasured_tasks("no time")]
        [('reading', 'undecided'), ('chain', 'undecided')]
    """
    what = "change in the score of a task without the retrieval heads"
    return [
        unmeasured_claim("reading", why=why, command=command, what=what, **_READING),
        unmeasured_claim("chain", why=why, command=command, **_CHAIN),
    ]


def _reading(row: "pd.Series", k: int, command: str) -> Claim:
    p_heads = float(row["p_heads"])
    drawn = (
        "no heads were drawn in their place"
        if math.isnan(p_heads)
        else f"against heads drawn in their place, p = {p_heads:.2g}"
    )
    return Claim(
        "reading",
        value=float(row["change"]),
        low=float(row["change_low"]),
        high=float(row["change_high"]),
        p_for=float(row["p_documents"]),
        p_against=float(row["p_equivalent"]),
        n=int(row["n_documents"]),
        unit="document",
        what=f"change in {row['metric']} of {row['task']} without the {k} best heads",
        command=command,
        against=f"A fall alone may come from any {k} heads: {drawn}. {int(row['n_items'])} items; "
        f"left alone means a change of less than {float(row['margin']):g}.",
        **_READING,
    )


def _chain(row: "pd.Series", command: str) -> Claim:
    return Claim(
        "chain",
        value=float(row["difference"]),
        low=float(row["difference_low"]),
        high=float(row["difference_high"]),
        p_for=float(row["p_first"]),
        p_against=float(row["p_equivalent"]),
        n=int(row["n_documents"]),
        unit="document",
        command=command,
        against=f"With the chain {row['metric']} changes by {float(row['first_change']):.2f}, "
        f"without by {float(row['second_change']):.2f}. A score that is 0 either way can't fall, "
        f"and where the answer stands in the text both ways read it. {int(row['n_items'])} items.",
        **_CHAIN,
    )
