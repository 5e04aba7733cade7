"""Refusing bad values: what was expected, what was found, what to do, in a short message.

A wrong type is a TypeError, a bad value of the right type a ValueError.
"""

from rh_lens.checks.arrays import (
    require_array,
    require_labels,
    require_numbers,
    require_table,
    require_tensor,
)
from rh_lens.checks.messages import MAX_SHOWN, did_you_mean, found_as, refusal, shown
from rh_lens.checks.values import (
    MAX_REPEATS,
    MAX_SEED,
    require_callable,
    require_choice,
    require_flag,
    require_list,
    require_number,
    require_path,
    require_seed,
    require_span,
    require_text,
    require_type,
    require_whole_number,
)

__all__ = [
    "MAX_REPEATS",
    "MAX_SEED",
    "MAX_SHOWN",
    "did_you_mean",
    "found_as",
    "refusal",
    "require_array",
    "require_callable",
    "require_choice",
    "require_flag",
    "require_labels",
    "require_list",
    "require_number",
    "require_numbers",
    "require_path",
    "require_seed",
    "require_span",
    "require_table",
    "require_tensor",
    "require_text",
    "require_type",
    "require_whole_number",
    "shown",
]
