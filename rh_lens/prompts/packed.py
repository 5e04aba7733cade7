"""Prompts with several needles in one haystack, each asked about in its turn."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

from transformers import PreTrainedTokenizerBase

from rh_lens.checks import require_choice, require_list, require_whole_number
from rh_lens.prompts.build import InexactSpans
from rh_lens.prompts.collisions import needle_collisions, require_no_collisions
from rh_lens.prompts.depths import places_of_depths
from rh_lens.prompts.grid_request import grid_request, require_surroundings
from rh_lens.prompts.haystack import Haystack
from rh_lens.prompts.insertion import HiddenNeedle, Stage, encode_needle, require_supply
from rh_lens.prompts.needle import Needle
from rh_lens.prompts.packed_prompt import PackedPrompt
from rh_lens.prompts.pieces import PieceEncoder
from rh_lens.prompts.stage import open_stage
from rh_lens.prompts.template import BASE_TEMPLATE, Template
from rh_lens.prompts.turn import Turn


def build_packed_grid(
    tokenizer: PreTrainedTokenizerBase,
    haystack: Haystack,
    needles: Needle | Iterable[Needle],
    *,
    context_lengths: int | Sequence[int],
    depths: int | Sequence[float] | None = None,
    needles_per_context: int | None = None,
    template: Template = BASE_TEMPLATE,
    max_context: int | None = None,
    allow_repeat: bool = False,
    haystack_offset: int = 0,
    n_distractors: int = 0,
    inexact_spans: InexactSpans = "keep",
) -> list[PackedPrompt]:
    """Prompts as of `build_grid`, several needles in each haystack: ten times less to read.

    A haystack holds all needles of a group, each at another depth; a turn is one such haystack,
    with a prompt for each needle's question. In the next turn every needle is one depth further, so
    that over the turns each is at every depth once (a Latin square; a Latin rectangle where there
    are more depths than needles). The prompts of a turn are the same, token for token, up to their
    questions: a run reads them once for all, without being told.

    Tokens, spans and sentence boundaries are those of `build_grid`. The longest prompt of a turn
    has exactly `context_length` tokens; a shorter question leaves its prompt shorter.

    Needles that could answer one another's question (`needle_collisions`) are put into different
    groups, and refused where there are too few.

    Args:
        tokenizer: A fast tokenizer.
        haystack: The text to hide the needles in.
        needles: What to hide.
        context_lengths: Tokens of the longest prompt of a turn, one or several.
        depths: As in `build_grid`, but no fewer than needles a context. None: as many as these.
        needles_per_context: Needles in one haystack, at most. None: all of them. The groups are as
            even as can be.
        template: The text around the haystack.
        max_context: Longest prompt allowed, as in `build_grid`.
        allow_repeat: Whether a haystack that is too short starts again where it ends.
        haystack_offset: Haystack tokens to skip, back to the last sentence boundary.
        n_distractors: How many of each needle's distractors to hide too, if it has as many.
        inexact_spans: "drop" leaves out needles of which, at some place, a token holds more than
            the answer at an end; "keep" keeps them.

    Returns:
        Prompts in the order of lengths, groups, turns and needles.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: Needles collide, there are more of them than depths or sentence boundaries, or
            the request cannot be met for another reason; the message says which.

    Warns:
        UserWarning: There are fewer depths than asked for.

    Examples:
        >>> shape = {"context_lengths": 256, "needles_per_context": 4}
        >>> packed = build_packed_grid(tokenizer, haystack, default_needles()[:4], **shape)
        >>> len(packed), len({one.turn for one in packed})
        (16, 4)
    """
    single = isinstance(needles, Needle)
    listed = require_list(
        "needles", [needles] if single else needles, Needle, at_least=1,
        remedy="Try default_needles().",
    )  # fmt: skip
    require_whole_number("n_distractors", n_distractors, at_least=0)
    require_surroundings(haystack, template, allow_repeat, n_distractors)
    require_choice("inexact_spans", inexact_spans, get_args(InexactSpans))
    groups = _groups(listed, needles_per_context)
    n_most = max(map(len, groups))
    asked = grid_request(
        listed,
        context_lengths,
        n_most if depths is None else depths,
        max_context=max_context,
        haystack_offset=haystack_offset,
    )
    _require_depths(len(asked.depths), n_most)
    encoder = PieceEncoder(tokenizer)
    stage = open_stage(encoder, haystack, template, asked, haystack_offset, allow_repeat)
    hidden = [
        [encode_needle(encoder, template, needle, n_distractors) for needle in group]
        for group in groups
    ]
    if inexact_spans == "drop":
        hidden = _exact(hidden)
    return [
        prompt
        for length in asked.lengths
        for group in hidden
        for prompt in _of_group(stage, group, length, asked.depths, move=asked.move)
    ]


def _groups(needles: Sequence[Needle], per_context: int | None) -> list[list[Needle]]:
    """Needles by haystack: groups of about one size, in which none answers another's question."""
    if per_context is None:
        require_no_collisions(
            needles, "Leave one of each pair out, or hide fewer with needles_per_context."
        )
        return [list(needles)]
    require_whole_number("needles_per_context", per_context, at_least=1)
    apart = {(found.first.name, found.second.name) for found in needle_collisions(needles)}
    n_groups = -(-len(needles) // per_context)
    groups: list[list[Needle]] = [[] for _ in range(n_groups)]
    for needle in needles:
        fits = [
            group
            for group in groups
            if len(group) < per_context
            and not any(
                pair in apart
                for other in group
                for pair in ((other.name, needle.name), (needle.name, other.name))
            )
        ]
        if not fits:
            require_no_collisions(needles, "Leave one of each pair out, or hide fewer a context.")
        min(fits, key=len).append(needle)
    return groups


def _require_depths(n_depths: int, n_needles: int) -> None:
    if n_depths < n_needles:
        raise ValueError(
            f"Expected a depth for each of the {n_needles} needles of a context; found {n_depths} "
            f"depths. Ask for depths={n_needles} or more, or needles_per_context={n_depths} or "
            "fewer."
        )


def _exact(groups: Sequence[Sequence[HiddenNeedle]]) -> list[list[HiddenNeedle]]:
    """The groups without needles whose answer span is not exact everywhere."""
    kept = [[needle for needle in group if needle.sentence.is_exact] for group in groups]
    if not any(kept):
        raise ValueError(
            "Expected a needle whose answer begins and ends with a token; found none among "
            f"{sum(map(len, groups))}. Write answers that are between spaces or punctuation, or "
            'keep them all with inexact_spans="keep".'
        )
    return [group for group in kept if group]


def _of_group(
    stage: Stage,
    group: Sequence[HiddenNeedle],
    length: int,
    depths: Sequence[float],
    *,
    move: bool,
) -> Iterator[PackedPrompt]:
    """The prompts of one length that hide the needles of one group."""
    room = _room(stage, group, length)
    require_supply(stage, length, stage.start + room)
    boundaries = stage.haystack_tokens.boundaries_within(stage.start, stage.start + room)
    pairs = places_of_depths(depths, boundaries, room=room, start=stage.start, move=move)
    n_distractors = sum(len(needle.distractors) for needle in group)
    taken = {boundary for _, boundary in pairs}
    free = [boundary for boundary in boundaries if boundary not in taken]
    _require_places(len(pairs), len(free), len(group), n_distractors, length)
    if len(pairs) < len(depths):
        warnings.warn(
            f"Expected {len(depths)} depths at {length} tokens; found {len(pairs)}, as there are "
            "no more sentences to put needles between. Ask for fewer depths or a longer context.",
            stacklevel=3,
        )
    others = [free[int((at + 0.5) * len(free) / n_distractors)] for at in range(n_distractors)]
    for turn in range(len(pairs)):
        steps = [(at * len(pairs) // len(group) + turn) % len(pairs) for at in range(len(group))]
        one = Turn.of(stage, group, length, [pairs[step] for step in steps], others)
        yield from one.prompts(turn)


def _room(stage: Stage, group: Sequence[HiddenNeedle], length: int) -> int:
    """Haystack tokens that fit beside the longest forms of all sentences and a question."""
    sentences = [one for needle in group for one in (needle.sentence, *needle.distractors)]
    n_sentences = sum(sentence.n_tokens for sentence in sentences)
    n_after = max(len(needle.after) for needle in group)
    needed = len(stage.prefix) + n_sentences + n_after
    if needed >= length:
        raise ValueError(
            f"Expected a context of {needed + 1} tokens or more for {len(group)} needles: "
            f"{len(stage.prefix)} before the haystack, {n_sentences} for needles and distractors, "
            f"{n_after} for a question, 1 of haystack; found context_length={length}. Ask for a "
            "longer context, or for fewer needles with needles_per_context."
        )
    return length - needed


def _require_places(
    n_places: int, n_free: int, n_needles: int, n_distractors: int, length: int
) -> None:
    if n_places < n_needles or n_free < n_distractors:
        raise ValueError(
            f"Expected a place between sentences for each of {n_needles} needles and "
            f"{n_distractors} distractors at context_length={length}; found {n_places} for needles "
            f"and {n_free} beside them. Ask for a longer context, or for fewer needles with "
            "needles_per_context."
        )
