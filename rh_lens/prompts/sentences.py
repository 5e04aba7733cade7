"""Where sentences end, in characters and in tokens."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

# A full stop after a title, an initial or a Latin abbreviation ends no sentence.
_NO_END = "".join(
    rf"(?<!\b{word})" for word in ("Mr", "Mrs", "Ms", "Dr", "Prof", "St", "[A-Z]", r"e\.g", r"i\.e")
)
_MARK = re.compile(
    rf"{_NO_END}[.!?…؟۔।॥።][.!?…]*[\"'”’»)\]]*(?=\s)"  # a space must follow
    r"|[。！？｡][。！？｡]*[”’」』）]*"  # no space need follow
)
_BLANK_LINE = re.compile(r"(?<=\S)(?=\s*\n\s*\n)")
_NO_SPACE = re.compile(r"\S")


def sentence_gaps(text: str, document_ends: Sequence[int] = ()) -> Int[np.ndarray, "gap 2"]:
    """Gaps between sentences: where one ends and where the next starts, in characters.

    A gap follows a sentence mark of the Latin, Arabic, Devanagari, Ethiopic or CJK scripts
    (unless the text goes on in lower case), and is at a blank line and at the end of a
    document. Its two ends are equal where no whitespace is between the sentences.

    Args:
        text: The text.
        document_ends: Characters at which a document ends and its separator follows.
    """
    marks = ((match.end(), _skip_space(text, match.end())) for match in _MARK.finditer(text))
    ends = {end for end, start in marks if not text[start : start + 1].islower()}
    ends.update(match.end() for match in _BLANK_LINE.finditer(text))
    ends.update(document_ends)
    gaps = [(end, _skip_space(text, end)) for end in sorted(ends)]
    between = [(end, start) for end, start in gaps if start < len(text)]
    return np.array(between, dtype=np.int64).reshape(-1, 2)


def boundary_tokens(
    gaps: Int[np.ndarray, "gap 2"], starts: Int[np.ndarray, " pos"], ends: Int[np.ndarray, " pos"]
) -> Int[np.ndarray, " boundary"]:
    """Token positions in front of which a sentence starts, in rising order.

    A gap counts where a token starts inside it and no token reaches across: some tokenizers
    give the space to the token that follows, others to the one before, others to none. Of
    several such tokens (a newline of its own, say) the first is taken.

    Args:
        gaps: From `sentence_gaps`.
        starts: First character of each token.
        ends: The character after each token's last.
    """
    if len(gaps) == 0 or len(starts) == 0:
        return np.zeros(0, dtype=np.int64)
    gap = np.searchsorted(gaps[:, 0], starts, side="right") - 1
    inside = (gap >= 0) & (starts <= gaps[np.maximum(gap, 0), 1])
    # The pieces of one character have the same offsets: only the first may open a sentence.
    inside[1:] &= ends[:-1] <= starts[1:]
    positions = np.flatnonzero(inside)
    _, first = np.unique(gap[positions], return_index=True)
    return positions[first]


def _skip_space(text: str, position: int) -> int:
    following = _NO_SPACE.search(text, position)
    return following.start() if following else len(text)
