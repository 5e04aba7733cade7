"""A document with a question about it, and which characters each of its tokens covers."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from transformers import PreTrainedTokenizerBase

from rh_lens.checks import require_text, require_type, require_whole_number
from rh_lens.prompts import BASE_TEMPLATE, DocumentPrompt, Template
from rh_lens.prompts.insertion import encode_prefix
from rh_lens.prompts.pieces import PieceEncoder
from rh_lens.prompts.text_file import require_characters
from rh_lens.representation import short_repr


@dataclass(frozen=True, eq=False)
class AskedDocument:
    """A question about a document, as a prompt that knows the document's characters.

    Args:
        document: The text.
        question: What is asked.
        prompt: The prompt; its `context_span` is the document.
        starts: First character of each of the document's tokens.
        ends: The character after each one's last.
    """

    document: str
    question: str
    prompt: DocumentPrompt
    starts: Int[np.ndarray, " pos"]
    ends: Int[np.ndarray, " pos"]

    __repr__ = short_repr

    @property
    def span(self) -> tuple[int, int]:
        """Half-open positions of the document's tokens in the prompt."""
        return self.prompt.source_span

    def characters(self, first: int, last: int) -> tuple[int, int]:
        """Half-open characters of the document from one token to another, without outer spaces.

        Args:
            first: Position in the prompt of the first token.
            last: Position of the last.

        Raises:
            TypeError: A position is no whole number.
            ValueError: It is not the document's.
        """
        begin, end = self.span
        for name, position in (("first", first), ("last", last)):
            require_whole_number(name, position, at_least=begin, at_most=end - 1)
        start, stop = int(self.starts[first - begin]), int(self.ends[last - begin])
        text = self.document[start:stop]
        start += len(text) - len(text.lstrip())
        return start, start + len(text.strip())


def ask_document(
    tokenizer: PreTrainedTokenizerBase,
    document: str,
    question: str,
    *,
    template: Template = BASE_TEMPLATE,
) -> AskedDocument:
    """A prompt that asks about a document.

    Args:
        tokenizer: A fast tokenizer, the model's own.
        document: The text; it need not hold the answer.
        question: Asked after the document.
        template: The text around both.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: Document or question is blank, or the tokenizer is slow.

    Examples:
        >>> asked = ask_document(tokenizer, "It rained. The key is under the mat.", "Where is it?")
        >>> asked.characters(*asked.span[:1], asked.span[0] + 1)
        (0, 9)
    """
    encoder = PieceEncoder(tokenizer)
    for name, text in (("document", document), ("question", question)):
        require_text(name, text)
        require_characters(name, text)
    require_type("template", template, Template)
    before, after = template.split(question)
    prefix = encode_prefix(encoder, before)
    piece = encoder.encode_within(document)
    closing = encoder.encode_within(after, special=True).tokens
    span = (len(prefix), len(prefix) + len(piece.tokens))
    prompt = DocumentPrompt(
        tokens=torch.cat([prefix, piece.tokens, closing]),
        name=question,
        document="document",
        context_span=span,
        question_span=(span[1], span[1] + len(closing)),
        tokenizer=tokenizer,
    )
    return AskedDocument(document, question, prompt, piece.starts, piece.ends)
