"""Inserting a needle's tokens into a haystack's at a sentence boundary."""

import unicodedata
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from rh_lens.prompts.haystack import Haystack
from rh_lens.prompts.haystack_tokens import HaystackTokens
from rh_lens.prompts.needle import Needle
from rh_lens.prompts.needle_prompt import NeedlePrompt
from rh_lens.prompts.pieces import PieceEncoder
from rh_lens.prompts.template import Template

# Whitespace before and after a needle, by what its neighbours bring of their own.
_SPACE_BEFORE, _NEWLINE_AFTER, _BARE = (" ", ""), ("", "\n"), ("", "")


@dataclass(frozen=True, eq=False)
class Stage:
    """What the prompts of a grid share.

    Args:
        encoder: The tokenizer's encoder.
        template: The text around the haystack.
        haystack: The text, for its name and hash.
        haystack_tokens: Its tokens.
        prefix: Tokens before the haystack: BOS and template start.
        start: Haystack token at which every prompt's haystack starts.
    """

    encoder: PieceEncoder
    template: Template
    haystack: Haystack
    haystack_tokens: HaystackTokens
    prefix: Int[Tensor, "pos"]
    start: int

    def spacing_at(self, boundary: int) -> tuple[str, str]:
        """Whitespace to put before and after a needle at a boundary of the haystack.

        The needle is set off from its neighbours like the haystack's own sentences: not at all
        between sentences without space, as in Chinese. At the haystack's start it gets a line
        of its own, unless the first word brings a space.
        """
        tokens = self.haystack_tokens.tokens
        at_start = boundary == self.start
        before = self.prefix[-1:] if at_start else tokens[boundary - 1 : boundary]
        space_before = any(map(self.encoder.ends_with_space, before.tolist()))
        if self.encoder.starts_with_space(int(tokens[boundary])):
            return _BARE if space_before else _SPACE_BEFORE
        return _NEWLINE_AFTER if space_before or at_start else _BARE


@dataclass(frozen=True, eq=False)
class HiddenNeedle:
    """A needle and its question, encoded for every place where it may stand.

    Args:
        needle: The needle.
        forms: Token ids and answer span inside them, by the whitespace before and after.
        after: Tokens after the haystack: question and template end.
    """

    needle: Needle
    forms: dict[tuple[str, str], tuple[Int[Tensor, "_"], tuple[int, int]]]
    after: Int[Tensor, "pos"]

    @property
    def n_tokens(self) -> int:
        """Tokens of the longest form."""
        return max(len(tokens) for tokens, _ in self.forms.values())


def encode_prefix(encoder: PieceEncoder, before: str) -> Int[Tensor, "pos"]:
    """Tokens in front of a haystack: the tokenizer's BOS, unless the text has it, and the text.

    Spaces at the text's end are left to the haystack.
    """
    tokens = encoder.encode(before.rstrip(" "), special=True).tokens
    bos = encoder.start_tokens
    return tokens if tokens[: len(bos)].equal(bos) else torch.cat([bos, tokens])


def encode_needle(encoder: PieceEncoder, template: Template, needle: Needle) -> HiddenNeedle:
    """The needle in each of its forms, and its question with the template's end.

    Raises:
        ValueError: The tokenizer cannot write the answer.
    """
    _, after = template.split(needle.question)
    forms = {
        spacing: _encode_form(encoder, needle, *spacing)
        for spacing in (_SPACE_BEFORE, _NEWLINE_AFTER, _BARE)
    }
    return HiddenNeedle(needle, forms, encoder.encode_within(after, special=True).tokens)


def insert(
    stage: Stage, hidden: HiddenNeedle, *, context_length: int, depth: float
) -> NeedlePrompt:
    """The prompt of `context_length` tokens with the needle at a sentence boundary.

    Raises:
        ValueError: The needle does not fit, or the haystack is too short.
    """
    hay = stage.haystack_tokens
    room = _haystack_room(stage, hidden, context_length)
    boundary = hay.boundary_before(stage.start + int(depth * room))
    form, answer = hidden.forms[stage.spacing_at(boundary)]
    n_hay = context_length - len(stage.prefix) - len(form) - len(hidden.after)
    stop = stage.start + n_hay
    _check_supply(stage, context_length, stop)

    parts = [hay.tokens[stage.start : boundary], form, hay.tokens[boundary:stop], hidden.after]
    tokens = torch.cat([stage.prefix, *parts])
    at = len(stage.prefix) + boundary - stage.start
    answer_span = (at + answer[0], at + answer[1])
    assert len(tokens) == context_length
    assert tokens[slice(*answer_span)].equal(form[slice(*answer)])
    return NeedlePrompt(
        tokens=tokens,
        answer_span=answer_span,
        needle_span=(at, at + len(form)),
        needle=hidden.needle,
        context_length=context_length,
        requested_depth=depth,
        depth=(boundary - stage.start) / n_hay,
        haystack_name=stage.haystack.name,
        haystack_sha256=stage.haystack.sha256,
        haystack_start=stage.start,
        haystack_repeats=hay.n_copies(stage.start, stop),
        template_name=stage.template.name,
    )


def _encode_form(
    encoder: PieceEncoder, needle: Needle, before: str, after: str
) -> tuple[Int[Tensor, "_"], tuple[int, int]]:
    piece = encoder.encode_within(before + needle.text + after)
    start, stop = needle.answer_characters
    span = piece.span(len(before) + start, len(before) + stop)
    written = encoder.decode(piece.tokens[slice(*span)])
    if _letters(needle.answer) not in _letters(written):
        raise ValueError(
            f"Expected tokens that spell the answer {needle.answer!r}; found {written!r}. The "
            "tokenizer cannot write it: choose another answer, or another tokenizer."
        )
    return piece.tokens, span


def _letters(text: str) -> str:
    """The text without case, accents and spaces, which uncased tokenizers change."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in plain if not c.isspace() and not unicodedata.combining(c))


def _haystack_room(stage: Stage, hidden: HiddenNeedle, context_length: int) -> int:
    """Haystack tokens that fit beside the needle's longest form: one at least."""
    needed = len(stage.prefix) + hidden.n_tokens + len(hidden.after)
    if needed >= context_length:
        raise ValueError(
            f"Expected a context of {needed + 1} tokens or more for needle {hidden.needle.name} "
            f"({hidden.needle.text[:60]!r}): {len(stage.prefix)} before the haystack, "
            f"{hidden.n_tokens} for the needle, {len(hidden.after)} for the question, 1 of "
            f"haystack; found context_length={context_length}. Ask for a longer context or use a "
            "shorter needle."
        )
    return context_length - needed


def _check_supply(stage: Stage, context_length: int, stop: int) -> None:
    n_available = len(stage.haystack_tokens.tokens)
    if stop > n_available:
        raise ValueError(
            f"Expected {stop} haystack tokens for context_length={context_length} from token "
            f"{stage.start} on; found {n_available} in haystack {stage.haystack.name!r}. Use a "
            "longer haystack or a shorter context, or repeat it with allow_repeat=True."
        )
