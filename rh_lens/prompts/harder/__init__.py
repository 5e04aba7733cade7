"""Haystacks in which retrieval is harder than finding the odd sentence out."""

from rh_lens.prompts.harder.kinds import (
    HAYSTACK_KINDS,
    HaystackKind,
    harder_needles,
    harder_prompts,
    words_in_common,
)
from rh_lens.prompts.harder.material import ASSOCIATIONS, Association

__all__ = [
    "ASSOCIATIONS",
    "HAYSTACK_KINDS",
    "Association",
    "HaystackKind",
    "harder_needles",
    "harder_prompts",
    "words_in_common",
]
