"""Token ids of texts whose words are now and then cut into smaller pieces than usual.

Random segmentation (the idea of BPE-dropout, Provilkov et al. 2019, arXiv:1910.13267, here with
seeded cuts between letters) makes rare pieces common in training, so that words never seen, which
fall into such pieces, can be copied. Inside one document a word is always cut in the same way: a
question matches its fact.
"""

import random
from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast

# Share of documents with cuts, and the highest chance of a cut between two letters.
CUT_SHARE = 0.4
MAX_CUT = 0.25


class Segmenter:
    """Encodes the texts of one document consistently.

    Args:
        tokenizer: A byte-level BPE tokenizer.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast):
        self._tokenizer = tokenizer.backend_tokenizer

    def encode(self, texts: Sequence[str], rng: random.Random) -> list[list[int]]:
        """Token ids of every text, without special tokens."""
        if rng.random() >= CUT_SHARE:
            return self.whole(texts)
        chance = MAX_CUT * rng.random()
        split = self._tokenizer.pre_tokenizer.pre_tokenize_str
        words = [[text[start:stop] for _, (start, stop) in split(text)] for text in texts]
        ids: dict[str, list[int]] = {}
        for word in sorted({word for text in words for word in text}):
            ids[word] = [token for piece in self.whole(_cut(word, chance, rng)) for token in piece]
        return [[token for word in text for token in ids[word]] for text in words]

    def whole(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of every text, without special tokens and without cuts."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [item.ids for item in encoded]


def _cut(word: str, chance: float, rng: random.Random) -> list[str]:
    """The word in pieces, with a cut after each letter or digit at the given chance."""
    pieces = [""]
    for character in word:
        pieces[-1] += character
        if character.isalnum() and rng.random() < chance:
            pieces.append("")
    return [piece for piece in pieces if piece]
