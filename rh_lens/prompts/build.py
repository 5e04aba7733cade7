"""Prompts from a tokenizer, a haystack and needles: one, or a grid of lengths and depths."""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias, get_args

from transformers import PreTrainedTokenizerBase

from rh_lens.checks import require_choice, require_number, require_type, require_whole_number
from rh_lens.prompts.depths import places_of_depths
from rh_lens.prompts.grid_request import (
    MAX_CONTEXT,
    NOT_PER_CENT,
    grid_request,
    require_surroundings,
)
from rh_lens.prompts.haystack import Haystack
from rh_lens.prompts.insertion import HiddenNeedle, Stage, encode_needle, insert
from rh_lens.prompts.needle import Needle
from rh_lens.prompts.needle_prompt import NeedlePrompt, require_prompts
from rh_lens.prompts.pieces import PieceEncoder
from rh_lens.prompts.stage import open_stage
from rh_lens.prompts.template import BASE_TEMPLATE, Template

InexactSpans: TypeAlias = Literal["keep", "drop"]
"""What becomes of needles whose answer span holds more than the answer."""


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
    n_distractors: int | None = None,
) -> NeedlePrompt:
    """One prompt of exactly `context_length` tokens: `build_grid` with a single cell.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The request cannot be met; the message says by which number.

    Examples:
        >>> one = build_prompt(tokenizer, haystack, needle, context_length=256, depth=0.5)
        >>> one
        NeedlePrompt(256 tokens of synthetic-seed0, depth 0.42, answer at 102-107: 'The password
         of the lightho...per is velvet comet eleven.')
        >>> tokenizer.decode(one.answer_tokens)
        ' velvet comet eleven'
    """
    require_type("needle", needle, Needle, remedy="Make one with Needle(question, text, answer).")
    require_whole_number("context_length", context_length, at_least=1, at_most=MAX_CONTEXT)
    require_number("depth", depth, at_least=0, at_most=1, remedy=NOT_PER_CENT)
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
        n_distractors=n_distractors,
    )
    return prompt


def build_grid(
    tokenizer: PreTrainedTokenizerBase,
    haystack: Haystack,
    needles: Needle | Iterable[Needle],
    *,
    context_lengths: int | Sequence[int],
    depths: int | Sequence[float] = 10,
    template: Template = BASE_TEMPLATE,
    max_context: int | None = None,
    allow_repeat: bool = False,
    haystack_offset: int = 0,
    n_distractors: int | None = None,
    inexact_spans: InexactSpans = "keep",
) -> list[NeedlePrompt]:
    """Prompts of every length, depth and needle, in this order, the needle changing fastest.

    Each piece (template start, haystack, needle, question with template end) is encoded once and
    joined as token ids. The needle goes to the last sentence boundary at or before the
    requested depth (0: directly before the haystack), with a space or a newline beside it where
    the tokens around it bring none. Distractors go to other boundaries, spread evenly. All prompts
    share their tokens up to the first sentence inserted.

    No two prompts are alike, token for token. Where a length has fewer sentence boundaries than
    depths, there are fewer prompts than asked for, and a warning says so; the depths then are those
    that exist. `NeedlePrompt.depth` is the real one.

    Args:
        tokenizer: A fast tokenizer. It puts its BOS in front, if it adds one to other texts and
            the template has none.
        haystack: The text to hide the needles in.
        needles: What to hide, one or several.
        context_lengths: Tokens in a whole prompt, one or several, BOS, template and needle
            included.
        depths: A number of depths, uniform from 0 to 1 with both ends, where several that mean one
            boundary move to the nearest free ones; or depths from 0 to 1, where the first stays.
        template: The text around the haystack.
        max_context: Longest prompt allowed: the model's context window less the tokens that it
            is to generate. Unchecked if None.
        allow_repeat: Whether a haystack that is too short starts again where it ends.
        haystack_offset: Haystack tokens to skip, back to the last sentence boundary.
        n_distractors: How many of each needle's distractors to hide, if it has as many. None: all
            that have a boundary of their own, with a warning where a needle has more.
        inexact_spans: "drop" leaves out needles of which a token holds more than the answer at an
            end, white space apart, in any prompt; "keep" keeps them, `span_is_exact` tells.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The request cannot be met; the message says by which number.

    Warns:
        UserWarning: There are fewer prompts than asked for.

    Examples:
        >>> grid = build_grid(tokenizer, haystack, needle, context_lengths=[128, 256], depths=3)
        >>> [(one.context_length, round(one.depth, 2)) for one in grid]
        [(128, 0.0), (128, 0.48), (128, 0.97), (256, 0.0), (256, 0.42), (256, 1.0)]
    """
    asked = grid_request(
        needles, context_lengths, depths, max_context=max_context, haystack_offset=haystack_offset
    )
    require_surroundings(haystack, template, allow_repeat, n_distractors)
    require_choice("inexact_spans", inexact_spans, get_args(InexactSpans))
    encoder = PieceEncoder(tokenizer)
    stage = open_stage(encoder, haystack, template, asked, haystack_offset, allow_repeat)
    hidden = [encode_needle(encoder, template, one, n_distractors) for one in asked.needles]
    built = [
        prompt
        for length in asked.lengths
        for prompt in _of_length(
            stage,
            [
                _fitting(stage, needle, length, all_of_them=n_distractors is not None)
                for needle in hidden
            ],
            length,
            asked.depths,
            move=asked.move,
        )
    ]
    prompts = distinct_prompts(built)
    _say_how_many(prompts, asked.lengths, asked.depths, hidden, n_distractors)
    return prompts if inexact_spans == "keep" else _with_exact_spans(prompts)


def distinct_prompts(prompts: Iterable[NeedlePrompt]) -> list[NeedlePrompt]:
    """The prompts without those that are like one before, token for token and in their answer.

    Raises:
        TypeError: It is no list of prompts.

    Examples:
        >>> len(distinct_prompts([*prompts, prompts[0]])), len(prompts)
        (8, 8)
    """
    found: dict[tuple[str, tuple[int, int]], NeedlePrompt] = {}
    for prompt in require_prompts(prompts, at_least=0):
        found.setdefault((prompt.tokens_sha256, prompt.answer_span), prompt)
    return list(found.values())


def _fitting(
    stage: Stage, needle: HiddenNeedle, context_length: int, *, all_of_them: bool
) -> HiddenNeedle:
    """The needle with as many of its distractors as have sentence boundaries of their own."""
    n_all = len(needle.distractors)
    for n in [n_all] if all_of_them else range(n_all, 0, -1):
        fewer = replace(needle, distractors=needle.distractors[:n])
        if n == 0 or fewer.fits(stage, context_length):
            return fewer
    if not all_of_them:
        return replace(needle, distractors=())
    raise ValueError(
        f"Expected room for needle {needle.needle.name} and {n_all} distractors, each between "
        f"sentences of its own, at context_length={context_length}; found less. Ask for a longer "
        "context, or for fewer with n_distractors."
    )


def _of_length(
    stage: Stage,
    hidden: Sequence[HiddenNeedle],
    context_length: int,
    depths: Sequence[float],
    *,
    move: bool,
) -> list[NeedlePrompt]:
    """The prompts of one length: for each depth, those of the needles that have it."""
    cells = []
    for place, needle in enumerate(hidden):
        room = needle.room(stage, context_length)
        boundaries = stage.haystack_tokens.boundaries_within(stage.start, stage.start + room)
        pairs = places_of_depths(depths, boundaries, room=room, start=stage.start, move=move)
        cells += [(depths.index(depth), place, boundary, boundaries) for depth, boundary in pairs]
    return [
        insert(
            stage,
            hidden[place],
            context_length=context_length,
            depth=depths[row],
            boundary=boundary,
            boundaries=boundaries,
        )
        for row, place, boundary, boundaries in sorted(cells, key=lambda cell: cell[:2])
    ]


def _say_how_many(
    prompts: Sequence[NeedlePrompt],
    context_lengths: Sequence[int],
    depths: Sequence[float],
    hidden: Sequence[HiddenNeedle],
    n_distractors: int | None,
) -> None:
    """Warn of fewer prompts than lengths, depths and needles make, and of missing distractors."""
    lacking = Counter(
        prompt.context_length
        for prompt in prompts
        if len(prompt.distractor_spans) < len(prompt.needle.distractors[:n_distractors])
    )
    if lacking:
        by_length = ", ".join(f"{n} at {length} tokens" for length, n in lacking.items())
        warnings.warn(
            f"Expected all distractors of each needle; found no room for some in {by_length}. "
            "Ask for longer contexts, or for the same number everywhere with n_distractors.",
            stacklevel=3,
        )
    n_asked = len(context_lengths) * len(depths) * len(hidden)
    if len(prompts) == n_asked:
        return
    counts = Counter(prompt.context_length for prompt in prompts)
    by_length = ", ".join(f"{n} at {length} tokens" for length, n in counts.items())
    warnings.warn(
        f"Expected {n_asked} prompts: {len(context_lengths)} lengths, {len(depths)} depths, "
        f"{len(hidden)} needles; found {len(prompts)} that differ: {by_length}. Needles are put "
        "between sentences, of which short contexts have few: ask for fewer depths or longer "
        "contexts. Depths shown are the real ones.",
        stacklevel=3,
    )


def _with_exact_spans(prompts: Sequence[NeedlePrompt]) -> list[NeedlePrompt]:
    """The prompts of needles whose answer span is exact in all of them."""
    inexact = {prompt.needle for prompt in prompts if not prompt.span_is_exact}
    exact = [prompt for prompt in prompts if prompt.needle not in inexact]
    if not exact:
        raise ValueError(
            f"Expected a needle whose answer begins and ends with a token; found none among "
            f"{len(inexact)}. Write answers that are between spaces or punctuation, or keep "
            'them all with inexact_spans="keep".'
        )
    return exact
