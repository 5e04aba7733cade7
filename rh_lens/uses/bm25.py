"""BM25, the usual first stage of a search, by the package bm25s."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_list, require_text


def bm25_scores(query: str, passages: Sequence[str]) -> Float[Tensor, " passage"]:
    """Score of each passage for a query by its words (BM25 as Lucene has it, k1 1.5, b 0.75).

    Words are in small letters, of two characters or more, without stop words and not stemmed.

    Args:
        query: What is asked.
        passages: Texts; statistics of words are taken from these.

    Raises:
        ImportError: bm25s is not installed.
        TypeError: An argument is of another type.
        ValueError: The query is blank, or there is no passage.

    Examples:
        >>> bm25_scores("who swims", [])
        Traceback (most recent call last):
            ...
        ValueError: Expected passages to have 1 or more entries; found 0. Pass more.
    """
    require_text("query", query)
    passages = require_list("passages", passages, str, at_least=1)
    try:
        import bm25s
    except ImportError as error:
        raise ImportError(
            "Expected bm25s, which searches by words; found none. Install it: pip install bm25s."
        ) from error
    options = {"stopwords": "en", "show_progress": False, "return_ids": False}
    words = bm25s.tokenize(list(passages), **options)
    asked = bm25s.tokenize([query], **options)[0]
    if not any(words) or not asked:
        return torch.zeros(len(passages), dtype=torch.float64)
    index = bm25s.BM25(k1=1.5, b=0.75, method="lucene")
    index.index(words, show_progress=False)
    return torch.from_numpy(index.get_scores(asked)).double()
