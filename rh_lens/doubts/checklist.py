"""The table of all doubts, and running some of them within a time."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from rh_lens.checks import (
    require_callable,
    require_choice,
    require_list,
    require_number,
    require_type,
)
from rh_lens.doubts.activity_doubts import doubt_activity, doubt_sink
from rh_lens.doubts.case import DoubtCase, require_case
from rh_lens.doubts.cause_doubts import (
    doubt_alternatives,
    doubt_backup,
    doubt_dose_response,
    doubt_operators,
    doubt_plain_text,
    doubt_shapley,
    doubt_sufficiency,
)
from rh_lens.doubts.choice_doubts import doubt_choices
from rh_lens.doubts.kind_doubts import doubt_haystacks
from rh_lens.doubts.null_doubts import (
    doubt_permuted_answers,
    doubt_random_spans,
    doubt_random_weights,
    doubt_shuffled_labels,
    doubt_shuffled_steps,
)
from rh_lens.doubts.time_doubts import doubt_copy_gain, doubt_timing, doubt_windows
from rh_lens.doubts.verdicts import Checklist, Doubt

DoubtTest: TypeAlias = Callable[[DoubtCase], Doubt]
"""Settles one doubt about a case."""

DOUBTS: Mapping[str, DoubtTest] = {
    "permuted answers": doubt_permuted_answers,
    "random spans": doubt_random_spans,
    "shuffled steps": doubt_shuffled_steps,
    "shuffled labels": doubt_shuffled_labels,
    "random weights": doubt_random_weights,
    "dose-response": doubt_dose_response,
    "alternatives": doubt_alternatives,
    "operators": doubt_operators,
    "sufficiency": doubt_sufficiency,
    "backup": doubt_backup,
    "shapley": doubt_shapley,
    "plain text": doubt_plain_text,
    "windows": doubt_windows,
    "timing": doubt_timing,
    "copy gain": doubt_copy_gain,
    "activity": doubt_activity,
    "sink": doubt_sink,
    "choices": doubt_choices,
    "haystacks": doubt_haystacks,
}
"""Every doubt by its name, in the order in which they are settled: cheap ones first."""


def run_doubts(
    case: DoubtCase,
    names: Iterable[str] | None = None,
    *,
    minutes: float | None = None,
    done: Iterable[Doubt] = (),
    on_doubt: Callable[[Doubt], object] | None = None,
) -> Checklist:
    """Doubts about a case, settled one after the other.

    A doubt that does not apply, such as one that edits attention where the architecture discards
    such edits, is left out with its reason.

    Args:
        case: From `doubt_case`.
        names: Some of `DOUBTS`; None: all.
        minutes: No doubt is begun later than this; None: there is time for all.
        done: Doubts of this case that are settled already: they are not tested again.
        on_doubt: Called with each new one, to keep it.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no doubt of a name, or no time.

    Examples:
        >>> short = {"context_length": 128, "n_depths": 1}
        >>> case = doubt_case(model, heads, needles=evaluation_needles()[:3], **short)
        >>> found = run_doubts(case, ["shuffled labels"])
        >>> found.to_dataframe().columns.tolist()[:3]
        ['name', 'against', 'claim']
    """
    require_case(case)
    known = {one.name: one for one in require_list("done", done, Doubt)}
    chosen = require_names(names)
    if minutes is not None:
        require_number("minutes", minutes, above=0)
    if on_doubt is not None:
        require_callable("on_doubt", on_doubt)
    began = time.monotonic()
    settled, left_out = [], []
    for name in chosen:
        if name in known:
            settled.append(known[name])
        elif minutes is not None and time.monotonic() - began > 60 * minutes:
            left_out.append((name, f"the {minutes:g} minutes were over"))
        else:
            found = _settle(case, name)
            if isinstance(found, str):
                left_out.append((name, found))
                continue
            settled.append(found)
            if on_doubt is not None:
                on_doubt(found)
    return Checklist(tuple(settled), tuple(left_out))


def require_names(names: Iterable[str] | None) -> tuple[str, ...]:
    """Names of doubts, each once, in the order of the table.

    Raises:
        TypeError: They are no texts.
        ValueError: There is none, or no doubt of a name.
    """
    if names is None:
        return tuple(DOUBTS)
    given = require_list("names", names, str, at_least=1)
    for name in given:
        require_choice("names", name, DOUBTS)
    return tuple(name for name in DOUBTS if name in given)


def _settle(case: DoubtCase, name: str) -> Doubt | str:
    """What came of a doubt, or why it does not apply."""
    began = time.monotonic()
    try:
        found = DOUBTS[name](case)
    except (ValueError, RuntimeError) as error:
        return " ".join(str(error).split())[:400]
    require_type("what a doubt returns", found, Doubt)
    return replace(found, seconds=time.monotonic() - began)
