"""Runs of generated tokens or words: copied from a text, or going in circles."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

# Stands for a position that may not be copied from; no token has this id.
NOWHERE = -1

# Thai, Lao, Khmer, Japanese kana and Chinese characters: written without spaces.
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_])+")

FUNCTION_WORDS = frozenset(
    """
    a an and are as at be been but by can did do does for from had has have he her his how i if in
    into is it its no not of on or she so than that the their them then there these they this those
    to was we were what when where which who will with would you
    """.split()
)
"""Words that show nothing by themselves: any answer may have them. English only."""


def words_of(text: str) -> list[str]:
    """Words of a text without case: runs of letters and digits.

    In scripts without spaces, every character is a word.
    """
    return _WORD.findall(text.casefold())


def run_lengths(
    said: Sequence[int], text: Int[np.ndarray, " pos"]
) -> tuple[Int[np.ndarray, " step"], Int[np.ndarray, " step"]]:
    """For each generated token, the longest run up to it that stands verbatim in a text.

    Args:
        said: Generated token ids.
        text: Token ids to look in; `NOWHERE` at positions that do not count, which no run spans.

    Returns:
        Length of the run that ends with each token, 0 where the token is not in the text; and the
        position in the text of the run's first token, that of the first such run.
    """
    lengths = np.zeros(len(said), dtype=np.int64)
    starts = np.zeros(len(said), dtype=np.int64)
    ending_at = np.zeros(len(text) + 1, dtype=np.int64)
    for step, token in enumerate(said):
        ending_at[1:] = np.where(text == token, ending_at[:-1] + 1, 0)
        end = int(ending_at.argmax())
        lengths[step], starts[step] = ending_at[end], end - ending_at[end]
    return lengths, starts


def longest_own_run(said: Sequence[str], own: Sequence[str], other: Sequence[str]) -> int:
    """Words in the longest run that stands in one text and not in another; 0 without one.

    A run of nothing but `FUNCTION_WORDS` does not count.

    Args:
        said: Generated words.
        own: Words of the text that a run is to come from.
        other: Words of the text that must not explain it.
    """
    ids = {word: place for place, word in enumerate({*said, *own, *other})}
    spoken = [ids[word] for word in said]
    in_own, _ = run_lengths(spoken, np.array([ids[word] for word in own], dtype=np.int64))
    in_other, _ = run_lengths(spoken, np.array([ids[word] for word in other], dtype=np.int64))
    longest = 0
    for last in np.flatnonzero(in_own > in_other).tolist():
        run = said[last + 1 - int(in_own[last]) : last + 1]
        if not FUNCTION_WORDS.issuperset(run):
            longest = max(longest, len(run))
    return longest


def longest_cycle(said: Sequence[int], *, n_times: int = 3) -> int:
    """Tokens in the longest stretch that goes through a cycle `n_times` or more.

    In such a stretch each token equals the one a fixed number of tokens before it; it is at least
    `n_times` as long as that number. 0 without one.
    """
    tokens, longest = np.asarray(said), 0
    for period in range(1, len(tokens) // n_times + 1):
        n_same = 0
        for same in tokens[period:] == tokens[:-period]:
            n_same = n_same + 1 if same else 0
            if n_same + period >= n_times * period:
                longest = max(longest, n_same + period)
    return longest
