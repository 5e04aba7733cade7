"""What a grid of prompts is asked for: its lengths and depths, checked before anything is read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from rh_lens.checks import (
    require_flag,
    require_list,
    require_number,
    require_type,
    require_whole_number,
)
from rh_lens.prompts.depths import MAX_DEPTHS, uniform_depths
from rh_lens.prompts.haystack import Haystack
from rh_lens.prompts.needle import Needle
from rh_lens.prompts.template import Template

NOT_PER_CENT = "Give fractions, not per cent."
MAX_CONTEXT = 100_000_000
"""Longest prompt in tokens; ten times the longest context window of a published model."""


@dataclass(frozen=True)
class GridRequest:
    """Lengths, depths and needles of a grid.

    Args:
        lengths: Tokens of the prompts.
        depths: Depths from 0 to 1.
        needles: What to hide.
        move: Whether depths may move to other sentence boundaries.
    """

    lengths: tuple[int, ...]
    depths: list[float]
    needles: tuple[Needle, ...]
    move: bool


def grid_request(
    needles: Needle | Iterable[Needle],
    context_lengths: int | Sequence[int],
    depths: int | Sequence[float],
    *,
    max_context: int | None,
    haystack_offset: int,
) -> GridRequest:
    """What is asked for, single things as lists.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is empty or out of range.
    """
    lengths, requested = _lengths(context_lengths), _depths(depths)
    if max_context is not None:
        require_whole_number("max_context", max_context, at_least=1)
    require_whole_number(
        "haystack_offset", haystack_offset, at_least=0, at_most=MAX_CONTEXT,
        remedy="Count from the haystack's start.",
    )  # fmt: skip
    limit = max(lengths) if max_context is None else max_context
    too_long = [length for length in lengths if length > limit]
    if too_long:
        raise ValueError(
            f"Expected context lengths of {limit} tokens or fewer (the model's context window less "
            f"room for the answer, max_context); found {too_long[:8]}. Leave these out, or use a "
            "model with a longer window."
        )
    single = isinstance(needles, Needle)
    listed = require_list(
        "needles", [needles] if single else needles, Needle, at_least=1,
        remedy="Try default_needles().",
    )  # fmt: skip
    return GridRequest(lengths, requested, listed, isinstance(depths, Integral))


def require_surroundings(
    haystack: Any, template: Any, allow_repeat: Any, n_distractors: Any
) -> None:
    """Refuse what needles can't be hidden in.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The number of distractors is below 0.
    """
    remedy = "Make one with synthetic_haystack(), file_haystack(path) or text_haystack([...])."
    require_type("haystack", haystack, Haystack, remedy=remedy)
    require_type("template", template, Template, remedy="Make one with load_template(...).")
    require_flag("allow_repeat", allow_repeat)
    if n_distractors is not None:
        require_whole_number("n_distractors", n_distractors, at_least=0, at_most=MAX_DEPTHS)


def _lengths(context_lengths: Any) -> tuple[int, ...]:
    single = isinstance(context_lengths, Integral)
    lengths = require_list(
        "context_lengths", [context_lengths] if single else context_lengths, Integral, at_least=1
    )
    for length in lengths:
        require_whole_number("context_lengths", length, at_least=1, at_most=MAX_CONTEXT)
    return tuple(int(length) for length in lengths)


def _depths(depths: Any) -> list[float]:
    if isinstance(depths, Integral):
        require_whole_number("depths", depths, at_least=1, at_most=MAX_DEPTHS)
        return uniform_depths(int(depths))
    listed = require_list("depths", depths, Real, at_least=1)
    for depth in listed:
        require_number("depths", depth, at_least=0, at_most=1, remedy=NOT_PER_CENT)
    return [float(depth) for depth in listed]
