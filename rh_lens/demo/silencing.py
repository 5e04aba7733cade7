"""What a demo model answers with its heads silenced one after the other, beside other heads."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from rh_lens.demo.training.held_out import held_out_prompts
from rh_lens.evaluation import ERROR_TYPES, classify_errors, error_shares, needle_recall
from rh_lens.heads import Head
from rh_lens.interventions import NoControlsError, control_heads, zero_ablation
from rh_lens.runtime import Bridge

# The needle is the unit: many of them, each at two depths only.
LENGTH, DEPTHS, N_NEEDLES = 256, (0.25, 0.75), 12
# Used for nothing else.
SEED = 70_001
N_CONTROL_DRAWS = 20
# One head more at a time up to here, then two, four and so on, and all of them.
_ONE_BY_ONE = 8


def silencing_table(model: Bridge, ranking: Sequence[Head], n_retrieval: int) -> dict[str, Any]:
    """Answers with the top heads silenced, one more at a time, and with others of their layers.

    Args:
        model: The model.
        ranking: Its heads, best first.
        n_retrieval: How many of them are retrieval heads: no control has one, and more than these
            are not silenced.

    Returns:
        JSON values: `n_prompts`, `n_needles`, `length`, and for each number of heads a row with
        `k`, `heads`, `exact`, `recall`, `errors` (share of the answers by kind), and of the control
        sets `n_draws`, `control_mean`, `control_min`, `n_as_harmful`.
    """
    prompts = held_out_prompts(
        model.tokenizer,
        context_lengths=(LENGTH,),
        depths=DEPTHS,
        n_needles=N_NEEDLES,
        seed=SEED,
    )
    retrieval = ranking[:n_retrieval]
    sets: dict[str, Sequence[Head]] = {}
    draws = {k: _controls(model, retrieval, k) for k in _numbers(n_retrieval)}
    for k, controls in draws.items():
        sets[f"top {k}"] = retrieval[:k]
        sets |= {f"control {k} {place}": one for place, one in enumerate(controls)}
    conditions = {name: zero_ablation(heads) for name, heads in sets.items()}
    result = needle_recall(model, prompts, conditions)
    shares = _by_condition(error_shares(classify_errors(result), result))
    measured = _by_condition(result.summary())
    rows = []
    for k, controls in draws.items():
        name = f"top {k}"
        row: dict[str, Any] = {"k": k, "heads": [head.label for head in retrieval[:k]]}
        row |= {one: float(measured[name][one]) for one in ("exact", "recall")}
        row["errors"] = {one: float(shares[name][one]) for one in ERROR_TYPES}
        found = [float(measured[f"control {k} {i}"]["exact"]) for i in range(len(controls))]
        if found:
            row["n_draws"] = len(found)
            row["control_mean"] = sum(found) / len(found)
            row["control_min"] = min(found)
            row["n_as_harmful"] = sum(one <= row["exact"] for one in found)
        rows.append(row)
    return {
        "n_prompts": len(prompts),
        "n_needles": N_NEEDLES,
        "length": LENGTH,
        "rows": rows,
    }


def _by_condition(table: pd.DataFrame) -> dict[Any, dict[Any, Any]]:
    return table.set_index("condition").to_dict("index")


def _numbers(n_retrieval: int) -> list[int]:
    """How many heads are silenced: none, then one more at a time, then in larger steps."""
    numbers = list(range(min(n_retrieval, _ONE_BY_ONE) + 1))
    step = 2
    while numbers[-1] < n_retrieval:
        numbers.append(min(numbers[-1] + step, n_retrieval))
        step *= 2
    return numbers


def _controls(model: Bridge, retrieval: Sequence[Head], k: int) -> tuple[tuple[Head, ...], ...]:
    """Distinct sets of k heads of the first k's layers that are no retrieval heads."""
    if k == 0:
        return ()
    try:
        return control_heads(
            retrieval[:k],
            n_layers=model.cfg.n_layers,
            n_heads=model.cfg.n_heads,
            n_draws=N_CONTROL_DRAWS,
            match="layer",
            exclude=retrieval,
        ).draws
    except NoControlsError:
        return ()
