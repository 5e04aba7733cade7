"""Pieces of a prompt as token ids, encoded so that they fit together."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from rh_lens.checks import require_type

# Text put in front of a piece and cut off again; one of these is never merged with what follows.
_ANCHORS = (".", "x", "\n")


@dataclass(frozen=True, eq=False)
class Piece:
    """Token ids of a text, with the characters each token covers (half-open)."""

    tokens: Int[Tensor, " pos"]
    starts: Int[np.ndarray, " pos"]
    ends: Int[np.ndarray, " pos"]

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Half-open positions of the tokens that cover characters start to stop."""
        covering = np.flatnonzero((self.starts < stop) & (self.ends > start))
        if covering.size == 0:
            raise ValueError(
                f"Expected tokens that cover characters {start} to {stop}; found none. The "
                "tokenizer drops this text: choose another."
            )
        return int(covering[0]), int(covering[-1]) + 1

    def beyond(self, text: str, start: int, stop: int) -> str:
        """What the tokens that cover characters start to stop hold besides, white space apart.

        Args:
            text: The text that was encoded.
            start: First character.
            stop: The character after the last.
        """
        first, end = self.span(start, stop)
        around = text[self.starts[first] : start] + text[stop : self.ends[end - 1]]
        return around.strip()


def require_tokenizer(tokenizer: object) -> None:
    """Refuse what is no tokenizer of Hugging Face.

    Raises:
        TypeError: It is none.
    """
    remedy = "Pass model.tokenizer, or load one with AutoTokenizer.from_pretrained."
    require_type("tokenizer", tokenizer, PreTrainedTokenizerBase, remedy=remedy)


@dataclass(frozen=True, eq=False)
class PieceEncoder:
    """Encodes pieces of text as they are inside a longer text.

    Tokenizers that put a space before every text they are given (SentencePiece's `▁`) would
    put one before every piece too; here a piece has exactly the spaces of its text.

    Args:
        tokenizer: A fast Hugging Face tokenizer.

    Raises:
        TypeError: It is no tokenizer.
        ValueError: The tokenizer reports no character offsets (it is a slow one).
    """

    tokenizer: PreTrainedTokenizerBase

    def __post_init__(self) -> None:
        require_tokenizer(self.tokenizer)
        if not self.tokenizer.is_fast:
            raise ValueError(
                "Expected a fast tokenizer, which reports the characters of each token; found "
                f"{type(self.tokenizer).__name__}, which does not. Load it with "
                "AutoTokenizer.from_pretrained, from a folder that holds a tokenizer.json."
            )

    def encode(self, text: str, *, special: bool = False) -> Piece:
        """The text as the tokenizer encodes it by itself, without added special tokens.

        Args:
            text: The text.
            special: Whether the name of a special token in the text means that token.

        Raises:
            ValueError: The tokenizer reads such a name as the token even if not asked to
                (unigram models, whose vocabulary holds the names).
        """
        encoding = self.tokenizer(
            text,
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            split_special_tokens=not special,
            verbose=False,
        )
        offsets = np.array(encoding["offset_mapping"], dtype=np.int64).reshape(-1, 2)
        tokens = torch.tensor(encoding["input_ids"], dtype=torch.long)
        if not special:
            self._refuse_special(tokens, text, offsets)
        return Piece(tokens, offsets[:, 0], offsets[:, 1])

    def encode_within(self, text: str, *, special: bool = False) -> Piece:
        """The text as encoded inside a longer text: no space is put before it."""
        if not self.adds_space:
            return self.encode(text, special=special)
        for anchor in _ANCHORS:
            piece = self.encode(anchor + text, special=special)
            n_anchor = int(np.searchsorted(piece.starts, len(anchor)))
            if n_anchor and piece.ends[n_anchor - 1] <= len(anchor):
                offsets = (side[n_anchor:] - len(anchor) for side in (piece.starts, piece.ends))
                return Piece(piece.tokens[n_anchor:], *offsets)
        raise ValueError(
            f"Expected a tokenizer that keeps one of {_ANCHORS} apart from the text after it; "
            f"found that it merges all of them with {text[:20]!r}. Use another tokenizer."
        )

    @cached_property
    def adds_space(self) -> bool:
        """Whether the tokenizer puts a space before a text that has none."""
        return self.starts_with_space(int(self.encode("x").tokens[0]))

    @cached_property
    def start_tokens(self) -> Int[Tensor, " pos"]:
        """What the tokenizer puts before every text: usually one BOS, or nothing."""
        with_special = self.tokenizer("x", add_special_tokens=True)["input_ids"]
        plain = self.tokenizer("x", add_special_tokens=False)["input_ids"]
        n_before = next(
            index
            for index in range(len(with_special))
            if with_special[index : index + len(plain)] == plain
        )
        return torch.tensor(with_special[:n_before], dtype=torch.long)

    def starts_with_space(self, token: int) -> bool:
        """Whether the token, after other text, is preceded by or begins with whitespace."""
        before = self.decode([self._one_letter])
        return self.decode([self._one_letter, token])[len(before) :][:1].isspace()

    def ends_with_space(self, token: int) -> bool:
        """Whether the token's text ends with whitespace."""
        return self.decode([token])[-1:].isspace()

    def decode(self, tokens: Int[Tensor, " pos"] | list[int]) -> str:
        """The tokens' text, special tokens and spaces kept as they are."""
        return self.tokenizer.decode(
            tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    def _refuse_special(
        self, tokens: Int[Tensor, " pos"], text: str, offsets: Int[np.ndarray, "pos 2"]
    ) -> None:
        special = set(self.tokenizer.all_special_ids) - {self.tokenizer.unk_token_id}
        found = torch.isin(tokens, torch.tensor(sorted(special), dtype=torch.long)).nonzero()
        if len(found):
            start, stop = offsets[int(found[0])]
            raise ValueError(
                f"Expected plain text; found {text[start:stop]!r} at character {start}, which this "
                "tokenizer always reads as a special token. Remove it from the text."
            )

    @cached_property
    def _one_letter(self) -> int:
        return int(self.encode("x").tokens[-1])
