"""Prompts from a tokenizer, a haystack and needles: one, or a grid of lengths and depths."""

from collections.abc import Iterable, Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from rh_lens.prompts.haystack import Haystack
from rh_lens.prompts.haystack_tokens import HaystackTokens, tokenize_haystack
from rh_lens.prompts.insertion import Stage, encode_needle, encode_prefix, insert
from rh_lens.prompts.needle import Needle
from rh_lens.prompts.needle_prompt import NeedlePrompt
from rh_lens.prompts.pieces import PieceEncoder
from rh_lens.prompts.template import BASE_TEMPLATE, Template


def build_prompt(
    tokenizer: PreTrainedTokenizerBase,
    haystack: Haystack,
    needle: Needle,
    *,
    context_length: int,
    depth: float,
    template: Template = BASE_TEMPLATE,
    max_context: int | None = None,
    allow_repeat: bool = False,
    haystack_offset: int = 0,
) -> NeedlePrompt:
    """One prompt of exactly `context_length` tokens: `build_grid` with a single cell."""
    (prompt,) = build_grid(
        tokenizer,
        haystack,
        [needle],
        context_lengths=[context_length],
        depths=[depth],
        template=template,
        max_context=max_context,
        allow_repeat=allow_repeat,
        haystack_offset=haystack_offset,
    )
    return prompt


def build_grid(
    tokenizer: PreTrainedTokenizerBase,
    haystack: Haystack,
    needles: Iterable[Needle],
    *,
    context_lengths: Sequence[int],
    depths: int | Sequence[float] = 10,
    template: Template = BASE_TEMPLATE,
    max_context: int | None = None,
    allow_repeat: bool = False,
    haystack_offset: int = 0,
) -> list[NeedlePrompt]:
    """Prompts of every length, depth and needle, in this order, the needle changing fastest.

    Each piece (template start, haystack, needle, question with template end) is encoded once and
    joined as token ids. The needle goes to the last sentence boundary at or before the
    requested depth (0: directly before the haystack), with a space or a newline beside it where
    the tokens around it bring none. All prompts share their tokens up to the needle.

    Args:
        tokenizer: A fast tokenizer. It puts its BOS in front, if it adds one to other texts and
            the template has none.
        haystack: The text to hide the needles in.
        needles: What to hide.
        context_lengths: Tokens in a whole prompt, BOS, template and needle included.
        depths: Depths from 0 to 1; or a number of them, uniform from 0 to 1 with both ends.
        template: The text around the haystack.
        max_context: Longest prompt allowed: the model's context window less the tokens that it
            is to generate. Unchecked if None.
        allow_repeat: Whether a haystack that is too short starts again where it ends.
        haystack_offset: Haystack tokens to skip, back to the last sentence boundary.

    Raises:
        ValueError: The request cannot be met; the message says by which number.
    """
    requested = uniform_depths(depths) if isinstance(depths, int) else list(depths)
    _check_request(context_lengths, requested, max_context, haystack_offset)
    encoder = PieceEncoder(tokenizer)
    before, _ = template.split("")
    haystack_tokens = tokenize_haystack(
        encoder,
        haystack,
        n_tokens=haystack_offset + max(context_lengths),
        before=before,
        allow_repeat=allow_repeat,
    )
    if max(requested) > 0:
        _check_sentences(haystack, haystack_tokens)
    stage = Stage(
        encoder,
        template,
        haystack,
        haystack_tokens,
        prefix=encode_prefix(encoder, before),
        start=haystack_tokens.boundary_before(haystack_offset),
    )
    hidden = [encode_needle(encoder, template, needle) for needle in needles]
    if not hidden:
        raise ValueError("Expected at least one needle; found none. Try default_needles().")
    return [
        insert(stage, needle, context_length=context_length, depth=depth)
        for context_length in context_lengths
        for depth in requested
        for needle in hidden
    ]


def uniform_depths(n_depths: int) -> list[float]:
    """Depths spaced evenly from 0 to 1, both ends included; a single one is the middle.

    Raises:
        ValueError: The number is below 1.
    """
    if n_depths < 1:
        raise ValueError(f"Expected 1 or more depths; found {n_depths}. Ask for at least one.")
    return [0.5] if n_depths == 1 else np.linspace(0.0, 1.0, n_depths).tolist()


def _check_request(
    context_lengths: Sequence[int],
    depths: Sequence[float],
    max_context: int | None,
    haystack_offset: int,
) -> None:
    if not context_lengths or not depths:
        raise ValueError(
            f"Expected at least one context length and one depth; found {len(context_lengths)} "
            f"and {len(depths)}. Give both."
        )
    outside = [depth for depth in depths if not 0 <= depth <= 1]
    if outside:
        raise ValueError(
            f"Expected depths from 0 (start of the haystack) to 1 (its end); found {outside}. "
            "Give fractions, not per cent."
        )
    if haystack_offset < 0:
        raise ValueError(
            f"Expected a haystack_offset of 0 or more tokens; found {haystack_offset}. Count from "
            "the haystack's start."
        )
    limit = max(context_lengths) if max_context is None else max_context
    too_long = [length for length in context_lengths if length > limit]
    if too_long:
        raise ValueError(
            f"Expected context lengths of {limit} tokens or fewer (the model's context "
            f"window less room for the answer); found {too_long}. Leave these out, or use a model "
            "with a longer window."
        )


def _check_sentences(haystack: Haystack, haystack_tokens: HaystackTokens) -> None:
    if len(haystack_tokens.boundaries) == 1:
        raise ValueError(
            f"Expected sentences in haystack {haystack.name!r}; found no sentence boundary in its "
            f"first {len(haystack_tokens.tokens)} tokens, so every depth would be 0. Use text with "
            "full stops, or several documents."
        )
