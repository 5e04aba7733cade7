"""A haystack as token ids, with the places where a needle may go in."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from torch import Tensor

from rh_lens.prompts.haystack import Haystack
from rh_lens.prompts.pieces import Piece, PieceEncoder
from rh_lens.prompts.sentences import boundary_tokens, sentence_gaps

# First guess at how much text to encode; doubled until the tokens suffice.
_CHARACTERS_PER_TOKEN = 8
# Cutting the text can change its last tokens; this many spare ones keep them out of prompts.
_SPARE_TOKENS = 64


@dataclass(frozen=True, eq=False)
class HaystackTokens:
    """The leading tokens of a haystack, enough for the longest prompt of a grid.

    Args:
        tokens: Token ids.
        boundaries: Rising positions in `tokens` where a sentence starts; the first is 0.
        copy_starts: Rising positions where the haystack starts again; the first is 0.
    """

    tokens: Int[Tensor, " pos"]
    boundaries: Int[np.ndarray, " boundary"]
    copy_starts: Int[np.ndarray, " copy"]

    def boundary_before(self, position: int) -> int:
        """The last sentence boundary at or before a position."""
        return int(self.boundaries[np.searchsorted(self.boundaries, position, side="right") - 1])

    def boundaries_within(self, start: int, stop: int) -> list[int]:
        """The sentence boundaries from start to stop, both included."""
        first = np.searchsorted(self.boundaries, start)
        end = np.searchsorted(self.boundaries, stop, side="right")
        return self.boundaries[first:end].tolist()

    def n_copies(self, start: int, stop: int) -> int:
        """How many copies of the haystack the tokens from start to stop read from."""
        first, last = np.searchsorted(self.copy_starts, [start, stop - 1], side="right")
        return int(last - first) + 1


def tokenize_haystack(
    encoder: PieceEncoder,
    haystack: Haystack,
    *,
    n_tokens: int,
    before: str = "",
    allow_repeat: bool = False,
) -> HaystackTokens:
    """The haystack's leading tokens: at least `n_tokens`, or all it has.

    Only as much text is encoded as these tokens need.

    Args:
        encoder: The tokenizer's encoder.
        haystack: The text.
        n_tokens: How many tokens are wanted.
        before: The template's text before the haystack. Spaces at its end are encoded with the
            haystack, because most tokenizers join a space to the word that follows it.
        allow_repeat: Whether to start the haystack again, on a new line, where it ends.

    Raises:
        ValueError: The tokenizer makes no tokens of the text.
    """
    spaces = before[len(before.rstrip(" ")) :]
    encode = encoder.encode_within if before else encoder.encode
    n_characters = _CHARACTERS_PER_TOKEN * (n_tokens + _SPARE_TOKENS)
    while True:
        text = spaces + _leading_text(haystack, n_characters, allow_repeat)
        piece = encode(text)
        if len(piece.tokens) == 0:
            raise ValueError(
                f"Expected tokens of haystack {haystack.name!r}; found none in its first "
                f"{len(text)} characters. The tokenizer drops this text: use another haystack."
            )
        whole = not allow_repeat and n_characters >= len(haystack.text)
        if whole or len(piece.tokens) >= n_tokens + _SPARE_TOKENS:
            return _with_boundaries(haystack, text, piece, n_before=len(spaces))
        n_characters *= 2


def _leading_text(haystack: Haystack, n_characters: int, repeat: bool) -> str:
    if not repeat:
        return haystack.text[:n_characters]
    n_copies = -(-n_characters // (len(haystack.text) + 1))
    return "\n".join([haystack.text] * n_copies)[:n_characters]


def _with_boundaries(
    haystack: Haystack, text: str, piece: Piece, *, n_before: int
) -> HaystackTokens:
    copies = np.arange(n_before, len(text), len(haystack.text) + 1)
    lengths = np.cumsum([len(document) + 1 for document in haystack.documents]) - 1
    document_ends = (copies[:, None] + lengths).ravel()
    gaps = sentence_gaps(text, [int(end) for end in document_ends[document_ends < len(text)]])
    inner = boundary_tokens(gaps, piece.starts, piece.ends)
    return HaystackTokens(
        tokens=piece.tokens,
        boundaries=np.union1d([0], inner).astype(np.int64),
        copy_starts=np.append(0, np.searchsorted(piece.starts, copies[1:])).astype(np.int64),
    )
