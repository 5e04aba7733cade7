"""A prompt that asks about a document, which may hold its answer in several places or in none."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from rh_lens.checks import require_list
from rh_lens.prompts.needle_prompt import NeedlePrompt


@dataclass(frozen=True, eq=False)
class DocumentPrompt:
    """A prompt that asks about a document; all positions are those of its tokens, half-open.

    Args:
        tokens: The whole prompt.
        name: Names the question.
        document: Names the document; prompts of one document are alike in statistics.
        context_span: The document; None where the prompt has none.
        question_span: The question; None where the document asks itself.
        answer_spans: Every place of the document at which a right answer stands; it may be in none.
        tokenizer: What the prompt was built with, to show its text.
    """

    tokens: Int[Tensor, " pos"]
    name: str
    document: str
    context_span: tuple[int, int] | None
    question_span: tuple[int, int] | None
    answer_spans: tuple[tuple[int, int], ...] = ()
    tokenizer: PreTrainedTokenizerBase | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        start, stop = self.source_span
        return (
            f"DocumentPrompt({self.name!r}: {len(self.tokens)} tokens, {stop - start} to read; the "
            f"answer stands there {len(self.answer_spans)} times)"
        )

    @property
    def source_span(self) -> tuple[int, int]:
        """What an answer can be copied from: the document, or the whole prompt without one."""
        return self.context_span or (0, len(self.tokens))

    @cached_property
    def tokens_sha256(self) -> str:
        """Hexadecimal SHA-256 of the token ids, as 64-bit little-endian integers."""
        return hashlib.sha256(self.tokens.cpu().numpy().astype("<i8").tobytes()).hexdigest()

    @property
    def content(self) -> dict[str, Any]:
        """Every field by name, as JSON values, but the tokenizer; of the token ids a hash."""
        values = {
            name: getattr(self, name)
            for name in ("name", "document", "context_span", "question_span", "answer_spans")
        }
        return json.loads(json.dumps(values | {"tokens": self.tokens_sha256}))

    @cached_property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of `content`."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()


AnyPrompt: TypeAlias = NeedlePrompt | DocumentPrompt
"""What can be answered: a prompt about a needle, or about a document."""


def require_any_prompts(
    prompts: object, name: str = "prompts", *, at_least: int = 1
) -> tuple[AnyPrompt, ...]:
    """The prompts of a list, about needles or documents.

    Args:
        prompts: What was given.
        name: What the caller knows it as.
        at_least: Fewest prompts.

    Raises:
        TypeError: It is no list of prompts, such as a single one.
        ValueError: There are too few.

    Examples:
        >>> len(require_any_prompts(prompts))
        8
    """
    remedy = "Make a list with build_grid, [build_prompt(...)] or task_prompts."
    kinds = (NeedlePrompt, DocumentPrompt)
    return require_list(name, prompts, kinds, at_least=at_least, remedy=remedy)
