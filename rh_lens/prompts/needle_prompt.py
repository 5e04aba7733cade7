"""The result of building: a prompt whose needle is at a known place."""

import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from html import escape
from typing import Any

from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from rh_lens.checks import require_list
from rh_lens.prompts.needle import Needle
from rh_lens.representation import cut

# Characters shown of each end of a stretch of haystack.
_SHOWN = 400


@dataclass(frozen=True, eq=False)
class NeedlePrompt:
    """A prompt with a needle at a known place.

    Args:
        tokens: The whole prompt: BOS, template, haystack with needle and distractors, question.
        answer_span: Half-open positions of the answer's tokens in `tokens`.
        needle_span: Half-open positions of all tokens inserted for the needle. Those around it are
            the plain haystack's.
        needle: What was hidden.
        context_length: Tokens in the whole prompt.
        requested_depth: The depth that was asked for, 0 to 1.
        depth: The needle's real depth: haystack tokens before it / haystack tokens in the prompt,
            without distractors.
        haystack_name: The haystack's name.
        haystack_sha256: Hash of the haystack's text.
        haystack_start: Haystack token at which the prompt's haystack starts.
        haystack_repeats: Copies of the haystack read from; 1 means that it is not repeated.
        template_name: The template's name.
        span_is_exact: Whether the tokens of `answer_span` hold nothing but the answer, white space
            apart. Where a token reaches beyond ("apple.\\n"), the span is rounded outwards.
        distractor_spans: Half-open positions of all tokens inserted for each of the needle's
            distractors, in their order; there may be fewer than the needle has.
        distractor_answer_spans: Half-open positions of the tokens of their answers.
        tokenizer: What the prompt was built with, to show its text; None for one read from a file.
    """

    tokens: Int[Tensor, " pos"]
    answer_span: tuple[int, int]
    needle_span: tuple[int, int]
    needle: Needle
    context_length: int
    requested_depth: float
    depth: float
    haystack_name: str
    haystack_sha256: str
    haystack_start: int
    haystack_repeats: int
    template_name: str
    span_is_exact: bool = True
    distractor_spans: tuple[tuple[int, int], ...] = ()
    distractor_answer_spans: tuple[tuple[int, int], ...] = ()
    tokenizer: PreTrainedTokenizerBase | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return (
            f"NeedlePrompt({self.context_length} tokens of {self.haystack_name}, depth "
            f"{self.depth:.2f}, answer at {self.answer_span[0]}-{self.answer_span[1]}: "
            f"{cut(repr(self.needle.text))})"
        )

    def _repr_html_(self) -> str:
        """The text with needle and answer marked; the middle of long stretches is left out."""
        text = "" if self.tokenizer is None else _marked_text(self, self.tokenizer)
        return f"<div>{escape(repr(self))}</div><div>{text}</div>"

    @property
    def answer_tokens(self) -> Int[Tensor, " answer"]:
        """Token ids of the answer, as they are in the prompt."""
        return self.tokens[slice(*self.answer_span)]

    @cached_property
    def tokens_sha256(self) -> str:
        """Hexadecimal SHA-256 of the token ids, as 64-bit little-endian integers."""
        return hashlib.sha256(self.tokens.cpu().numpy().astype("<i8").tobytes()).hexdigest()

    @property
    def content(self) -> dict[str, Any]:
        """Every field by name, as JSON values, but the tokenizer and the names of the texts.

        Whatever a score can depend on is here, also in fields that are added one day: the spans,
        the needle with its answer, the depths. Of the token ids there is a hash; the needle's
        fields are called "needle.answer" and so on.
        """
        values = {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if one.name not in ("needle", "haystack_name", "template_name", "tokenizer")
        }
        values["tokens"] = self.tokens_sha256
        values |= {f"needle.{name}": value for name, value in asdict(self.needle).items()}
        return json.loads(json.dumps(values))

    @cached_property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of all that a score can depend on: of `content`."""
        text = json.dumps(self.content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def require_prompts(
    prompts: object, name: str = "prompts", *, at_least: int = 1
) -> tuple[NeedlePrompt, ...]:
    """The prompts of a list, which holds nothing else.

    Args:
        prompts: What was given.
        name: What the caller knows it as.
        at_least: Fewest prompts.

    Raises:
        TypeError: It is no list of prompts, such as a single one.
        ValueError: There are too few.

    Examples:
        >>> len(require_prompts(prompts))
        8
        >>> require_prompts([])
        Traceback (most recent call last):
            ...
        ValueError: Expected prompts to have 1 or more entries; found 0. Make a list with ...
    """
    remedy = "Make a list with build_grid or [build_prompt(...)]."
    return require_list(name, prompts, NeedlePrompt, at_least=at_least, remedy=remedy)


def warn_of_repeats(prompts: Iterable[NeedlePrompt]) -> None:
    """Warn where prompts of a caller's repeat others, tokens and needle alike.

    Those of `build_grid` differ. A repeated one says nothing new, and weighs in every mean.
    """
    seen = Counter((prompt.tokens_sha256, prompt.needle) for prompt in prompts)
    n_repeats = seen.total() - len(seen)
    if n_repeats:
        warnings.warn(
            f"Expected prompts that differ; found {len(seen)} among {seen.total()}: {n_repeats} "
            "repeat others, say nothing new and count all the same. Leave them out.",
            stacklevel=3,
        )


def _marked_text(prompt: NeedlePrompt, tokenizer: PreTrainedTokenizerBase) -> str:
    """A prompt's text as HTML, with its needle and its answer marked."""
    (first, stop), (start, end) = prompt.needle_span, prompt.answer_span

    def text(begin: int, end: int) -> str:
        return tokenizer.decode(prompt.tokens[begin:end], clean_up_tokenization_spaces=False)

    needle = escape(text(first, start)), escape(text(start, end)), escape(text(end, stop))
    before, after = text(0, first), text(stop, len(prompt.tokens))
    marked = "<mark>{}<b>{}</b>{}</mark>".format(*needle)
    return _shortened(before) + marked + _shortened(after)


def _shortened(text: str) -> str:
    """A text as HTML, without its middle where it is long."""
    if len(text) <= 2 * _SHOWN:
        return escape(text)
    n_left_out = len(text) - 2 * _SHOWN
    left_out = f" <i>[... {n_left_out} characters ...]</i> "
    return escape(text[:_SHOWN]) + left_out + escape(text[-_SHOWN:])
