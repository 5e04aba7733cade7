"""Inserting sentences into a haystack's tokens at sentence boundaries."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from rh_lens.prompts.depths import places_beside
from rh_lens.prompts.haystack import Haystack
from rh_lens.prompts.haystack_tokens import HaystackTokens
from rh_lens.prompts.needle import Distractor, Needle
from rh_lens.prompts.needle_prompt import NeedlePrompt
from rh_lens.prompts.pieces import PieceEncoder
from rh_lens.prompts.template import Template

# Whitespace before and after a sentence, by what its neighbours bring of their own.
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
    prefix: Int[Tensor, " pos"]
    start: int

    def spacing_at(self, boundary: int) -> tuple[str, str]:
        """Whitespace to put before and after a sentence at a boundary of the haystack.

        It is set off from its neighbours like the haystack's own sentences: not at all
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
class Form:
    """A sentence as tokens, with the whitespace of one kind of place.

    Args:
        tokens: Token ids.
        answer: Half-open positions of its answer in them.
        is_exact: Whether those hold nothing but the answer, whitespace apart.
    """

    tokens: Int[Tensor, " _"]
    answer: tuple[int, int]
    is_exact: bool


class Sentence:
    """A sentence with an answer, encoded for every place where it may be.

    Args:
        encoder: The tokenizer's encoder.
        fact: The sentence.

    Raises:
        ValueError: The tokenizer cannot write the answer.
    """

    def __init__(self, encoder: PieceEncoder, fact: Needle | Distractor) -> None:
        spacings = (_SPACE_BEFORE, _NEWLINE_AFTER, _BARE)
        self._forms = {spacing: _encode_form(encoder, fact, *spacing) for spacing in spacings}
        self.n_tokens = max(len(form.tokens) for form in self._forms.values())

    @property
    def is_exact(self) -> bool:
        """Whether the answer's tokens hold nothing else, wherever the sentence is."""
        return all(form.is_exact for form in self._forms.values())

    def form_at(self, stage: Stage, boundary: int) -> Form:
        """The form that fits a boundary of the haystack."""
        return self._forms[stage.spacing_at(boundary)]


@dataclass(frozen=True, eq=False)
class HiddenNeedle:
    """A needle, its question and its distractors, encoded.

    Args:
        needle: The needle.
        sentence: Its text.
        after: Tokens after the haystack: question and template end.
        distractors: The sentences to hide beside it.
    """

    needle: Needle
    sentence: Sentence
    after: Int[Tensor, " pos"]
    distractors: tuple[Sentence, ...]

    def fits(self, stage: Stage, context_length: int) -> bool:
        """Whether needle and distractors have a sentence boundary each."""
        try:
            room = self.room(stage, context_length)
        except ValueError:
            return False
        places = stage.haystack_tokens.boundaries_within(stage.start, stage.start + room)
        return len(places) > len(self.distractors)

    def room(self, stage: Stage, context_length: int) -> int:
        """Haystack tokens that fit beside the longest forms: one at least.

        Raises:
            ValueError: There is room for none.
        """
        n_needle, n_after = self.sentence.n_tokens, len(self.after)
        n_others = sum(sentence.n_tokens for sentence in self.distractors)
        needed = len(stage.prefix) + n_needle + n_others + n_after
        if needed < context_length:
            return context_length - needed
        others = f" {n_others} for {len(self.distractors)} distractors," if n_others else ""
        raise ValueError(
            f"Expected a context of {needed + 1} tokens or more for needle {self.needle.name} "
            f"({self.needle.text[:60]!r}): {len(stage.prefix)} before the haystack, {n_needle} for "
            f"the needle,{others} {n_after} for the question, 1 of haystack; found "
            f"context_length={context_length}. Ask for a longer context or use a shorter needle"
            f"{' or fewer distractors' if n_others else ''}."
        )


def encode_prefix(encoder: PieceEncoder, before: str) -> Int[Tensor, " pos"]:
    """Tokens in front of a haystack: the tokenizer's BOS, unless the text has it, and the text.

    Spaces at the text's end are left to the haystack.
    """
    tokens = encoder.encode(before.rstrip(" "), special=True).tokens
    bos = encoder.start_tokens
    return tokens if tokens[: len(bos)].equal(bos) else torch.cat([bos, tokens])


def encode_needle(
    encoder: PieceEncoder, template: Template, needle: Needle, n_distractors: int | None = None
) -> HiddenNeedle:
    """The needle in each of its forms, its question with the template's end, its distractors.

    Raises:
        ValueError: The tokenizer cannot write an answer.
    """
    _, after = template.split(needle.question)
    return HiddenNeedle(
        needle,
        Sentence(encoder, needle),
        encoder.encode_within(after, special=True).tokens,
        tuple(Sentence(encoder, fact) for fact in needle.distractors[:n_distractors]),
    )


def insert(
    stage: Stage,
    hidden: HiddenNeedle,
    *,
    context_length: int,
    depth: float,
    boundary: int,
    boundaries: Sequence[int],
) -> NeedlePrompt:
    """The prompt of `context_length` tokens with the needle at a sentence boundary.

    Args:
        stage: What the grid shares.
        hidden: The needle.
        context_length: Tokens in the prompt.
        depth: The depth that was asked for.
        boundary: Haystack token before which the needle goes.
        boundaries: It and those where distractors may go, rising.

    Raises:
        ValueError: The haystack is too short.
    """
    places = places_beside(boundary, boundaries, len(hidden.distractors))
    sentences = [(boundary, hidden.sentence), *zip(places, hidden.distractors, strict=True)]
    forms = [(place, sentence.form_at(stage, place)) for place, sentence in sentences]
    n_inserted = sum(len(form.tokens) for _, form in forms)
    n_hay = context_length - len(stage.prefix) - n_inserted - len(hidden.after)
    stop = stage.start + n_hay
    require_supply(stage, context_length, stop)

    tokens, starts = join(stage, forms, stop, hidden.after)
    spans = [(at, at + len(form.tokens)) for at, (_, form) in zip(starts, forms, strict=True)]
    answers = [
        (at + form.answer[0], at + form.answer[1])
        for at, (_, form) in zip(starts, forms, strict=True)
    ]
    form = forms[0][1]
    assert len(tokens) == context_length
    assert tokens[slice(*answers[0])].equal(form.tokens[slice(*form.answer)])
    return NeedlePrompt(
        tokens=tokens,
        answer_span=answers[0],
        needle_span=spans[0],
        needle=hidden.needle,
        context_length=context_length,
        requested_depth=depth,
        depth=(boundary - stage.start) / n_hay,
        haystack_name=stage.haystack.name,
        haystack_sha256=stage.haystack.sha256,
        haystack_start=stage.start,
        haystack_repeats=stage.haystack_tokens.n_copies(stage.start, stop),
        template_name=stage.template.name,
        span_is_exact=form.is_exact,
        distractor_spans=tuple(spans[1:]),
        distractor_answer_spans=tuple(answers[1:]),
        tokenizer=stage.encoder.tokenizer,
    )


def join(
    stage: Stage, forms: Sequence[tuple[int, Form]], stop: int, after: Int[Tensor, " after"]
) -> tuple[Int[Tensor, " pos"], list[int]]:
    """A prompt's tokens, and where in them each form starts.

    Args:
        stage: What the grid shares.
        forms: Sentences, each with the haystack token before which it goes; in any order.
        stop: Haystack token at which the haystack ends.
        after: Tokens after the haystack.
    """
    hay, parts = stage.haystack_tokens.tokens, [stage.prefix]
    starts, read, n_tokens = [0] * len(forms), stage.start, len(stage.prefix)
    for index in sorted(range(len(forms)), key=lambda index: forms[index][0]):
        place, form = forms[index]
        starts[index] = n_tokens + place - read
        parts += [hay[read:place], form.tokens]
        read, n_tokens = place, starts[index] + len(form.tokens)
    return torch.cat([*parts, hay[read:stop], after]), starts


def _encode_form(encoder: PieceEncoder, fact: Needle | Distractor, before: str, after: str) -> Form:
    text = before + fact.text + after
    piece = encoder.encode_within(text)
    start, stop = (len(before) + place for place in fact.answer_characters)
    span = piece.span(start, stop)
    written = encoder.decode(piece.tokens[slice(*span)])
    if _letters(fact.answer) not in _letters(written):
        raise ValueError(
            f"Expected tokens that spell the answer {fact.answer!r}; found {written!r}. The "
            "tokenizer cannot write it: choose another answer, or another tokenizer."
        )
    return Form(piece.tokens, span, is_exact=not piece.beyond(text, start, stop))


def _letters(text: str) -> str:
    """The text without case, accents and spaces, which uncased tokenizers change."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in plain if not c.isspace() and not unicodedata.combining(c))


def require_supply(stage: Stage, context_length: int, stop: int) -> None:
    """Refuse a haystack that ends before a token."""
    n_available = len(stage.haystack_tokens.tokens)
    if stop > n_available:
        raise ValueError(
            f"Expected {stop} haystack tokens for context_length={context_length} from token "
            f"{stage.start} on; found {n_available} in haystack {stage.haystack.name!r}. Use a "
            "longer haystack or a shorter context, or repeat it with allow_repeat=True."
        )
