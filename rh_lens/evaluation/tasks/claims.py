"""The paper's claims about reading, reasoning and knowing, beside what the tasks give."""

from typing import Any

import pandas as pd

from rh_lens.checks import require_text, require_type, require_whole_number
from rh_lens.evaluation.claims import Claim, unmeasured_claim
from rh_lens.evaluation.tasks.tables import TaskTables

EVALUATE = "rh-lens evaluate RUN --task TASK --data FILE --asked both"
# Below this score there is nothing to lose.
_NOTHING = 0.1

_TEXTS: dict[str, dict[str, Any]] = {
    "reading": {
        "statement": "Without its retrieval heads the model reads worse: extractive answers lose "
        "F1.",
        "paper": "F1 falls by 9.2 and 23.1 points",
        "place": "section 4.2",
        "what": "change in the score of extractive answers without the retrieval heads",
    },
    "chain": {
        "statement": "Without its retrieval heads the model reasons worse when it writes the way "
        "to its answer.",
        "paper": "chain-of-thought suffers; a figure, no table",
        "place": "section 4.3",
        "what": "change in the score with a written way, without the retrieval heads",
    },
    "answer-only": {
        "statement": "Without its retrieval heads the model answers as before when it says nothing "
        "but the answer.",
        "paper": "answer-only questions are left alone; a figure, no test",
        "place": "section 4.3",
        "what": "change in the score of answers alone, without the retrieval heads",
    },
    "chain-more": {
        "statement": "Silencing the retrieval heads costs a written way more than the answer "
        "alone.",
        "paper": "stated side by side, not tested",
        "place": "section 4.3",
        "what": "change with a written way less change of answers alone",
    },
}


def claims_of_tasks(
    tables: TaskTables, k: int | None = None, *, command: str = EVALUATE
) -> list[Claim]:
    """What Wu et al. 2024 (arXiv:2404.15574) claim of tasks, and what an evaluation gives.

    | name | figure without the top `k` | holds if | does not hold if |
    |---|---|---|---|
    | reading | change, items with documents | a loss is found | no change is shown |
    | chain | change with a written way | a loss is found | no change is shown |
    | answer-only | change of answers alone | no change is shown | a loss is found |
    | chain-more | difference of both changes | the way loses more | the answer alone does |

    A loss is found by `p_documents`, "no change" is shown by `p_equivalent` inside the tables'
    margin; both at 0.05, with documents as the unit. A way of asking at which the untouched model
    scores less than 0.1 has nothing to lose, and its claims are not measured. Where the table has
    one way only, it speaks for `reading` if its name has no `-chain`, and else for `chain`; of two,
    the second is the answer alone.

    Args:
        tables: From `task_tables` or a stored evaluation.
        k: Heads silenced, chosen before the answers were seen: the number of retrieval heads. None
            takes the largest K.
        command: The command that gives the figures.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The curves were not asked at this K, or the command is blank.

    Examples:
        >>> row = {"context": "The key is here.", "question": "Where is it?", "answers": "here"}
        >>> curve = task_curve(model, load_own([row]), heads, ks=[4], n_rankings=0, progress=False)
        >>> [claim.name for claim in claims_of_tasks(task_tables(curve))]
        ['reading', 'chain', 'answer-only', 'chain-more']
    """
    require_type("tables", tables, TaskTables, remedy="Take it from task_tables.")
    require_text("command", command)
    asked = sorted({int(one) for one in tables.curve["k"]})
    if k is not None:
        require_whole_number("k", k, at_least=1)
    k = max(asked) if k is None else k
    if k not in asked:
        raise ValueError(f"Expected k to be one of {asked}; found {k}. Choose one of the curves'.")
    ways = {
        _name_of(str(task), place): _by_k(own)
        for place, (task, own) in enumerate(tables.curve.groupby("task", sort=False))
    }
    found = {name: _of_way(name, own, k, command) for name, own in ways.items()}
    found["chain-more"] = _chain_more(tables, found, k, command)
    unasked = "This way was not asked."
    return [found.get(name) or _unmeasured(name, unasked, command) for name in _TEXTS]


def _name_of(task: str, place: int) -> str:
    """The claim that a way of asking speaks for."""
    if task.endswith("-chain"):
        return "chain"
    return "answer-only" if place else "reading"


def _by_k(table: pd.DataFrame) -> dict[int, Any]:
    """A table's rows by their K."""
    return {int(row["k"]): row for row in table.to_dict("records")}


def _of_way(name: str, curve: dict[int, Any], k: int, command: str) -> Claim:
    """The claim about one way of asking."""
    score = float(curve[0]["top"])
    if k == 0 or score < _NOTHING:
        why = f"The untouched model scores {score:.2f}: there is nothing to lose."
        return _unmeasured(name, "Nothing was silenced." if k == 0 else why, command)
    row = curve[k]
    loss, same = float(row["p_documents"]), float(row["p_equivalent"])
    alone = name == "answer-only"
    return Claim(
        name,
        value=float(row["change"]),
        low=float(row["change_low"]),
        high=float(row["change_high"]),
        p_for=same if alone else loss,
        p_against=loss if alone else same,
        n=int(row["n_documents"]),
        unit="document",
        command=command,
        against=f"Task {row['task']}, {row['metric']}, {k} heads, from {score:.2f}. p of no loss "
        f"{loss:.2g}, of a change of {row['margin']:g} or more {same:.2g}, against drawn heads "
        f"{float(row['p_heads']):.2g}. Other documents of the same kind, not other tasks.",
        **_TEXTS[name],
    )


def _chain_more(tables: TaskTables, found: dict[str, Claim], k: int, command: str) -> Claim:
    """The claim about the difference of both changes."""
    if tables.ways is None or k == 0:
        return _unmeasured("chain-more", "Both ways were not asked.", command)
    if not all(found[name].is_measured for name in ("chain", "answer-only") if name in found):
        return _unmeasured("chain-more", "One way has nothing to lose.", command)
    row = _by_k(tables.ways)[k]
    return Claim(
        "chain-more",
        value=float(row["difference"]),
        low=float(row["difference_low"]),
        high=float(row["difference_high"]),
        p_for=float(row["p_first"]),
        p_against=float(row["p_second"]),
        n=int(row["n_documents"]),
        unit="document",
        command=command,
        against="A way of more tokens has more places to fail: compare the controls, whose "
        f"difference is {float(row['control']):.2f}.",
        **_TEXTS["chain-more"],
    )


def _unmeasured(name: str, why: str, command: str) -> Claim:
    return unmeasured_claim(name, why=why, command=command, **_TEXTS[name])
