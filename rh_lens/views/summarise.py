"""One verb for everything that can be told in a few lines of text."""

from functools import singledispatch
from typing import Any

from rh_lens.checks import shown


def summarise(result: Any, **options: Any) -> str:
    """What a result says, in a few lines of text, for a terminal of 80 columns.

    | result | text | options |
    |---|---|---|
    | `RetrievalResult`, `StoredRun` | prompts, best heads, shares | `k` heads (10), `heat_map` |
    | `OfficialResult` | the same, and what the published way of finding answers missed | same |
    | `RetrievalScores` by name | shape and retrieval heads, a line each | `threshold` (0.1) |
    | `AblationPlan` | what will be silenced, and what the tests can show | |
    | `AblationCurve`, `AblationTables`, `StoredAblation` | recall by K, controls, failures | |
    | `TaskCurve`, `TaskTables`, `StoredEvaluation` | a task's score by K, controls, two ways | |
    | `Audit` | repeated, empty and excessive samples, and what they change | |
    | `CitedAnswer` | the answer, and its sources with the text around them | |
    | `CompressionCurve` | recall and perplexity by size of the cache | |
    | `RankingQuality` | nDCG and recall of each way to order passages | |
    | `Sparsity` | shares of heads above, between, at and below zero | |
    | `LineageComparison` | do models share their heads, beside chance | |
    | `Checklist` | each doubt: claim, what speaks against it, test, result, verdict | |

    With `heat_map=True` a run is drawn in characters too.

    Args:
        result: One of these.
        options: As the table says.

    Raises:
        TypeError: The result is of no such type, or has no such option.
        ValueError: An option is out of range, or a table lacks a column.

    Examples:
        >>> print(summarise(result, k=2))
        8 prompts: 8 accepted, 0 rejected
          128 tokens: 8 at depths 0.00 0.91
        <BLANKLINE>
        Top heads by position score
        head  score  activation frequency  KV group
        L2H2  1.000                 1.000         1
        L2H3  1.000                 1.000         1
        <BLANKLINE>
        score >= 0.1: 4 of 32 heads (12.5 %)
        score = 0: 23 of 32 heads (71.9 %)
    """
    return text_of(result, **options)


@singledispatch
def text_of(result: Any, **options: Any) -> str:
    """The text of one kind of result; each kind's file registers its own."""
    known = sorted({kind.__name__ for kind in text_of.registry} - {"object"})
    raise TypeError(
        f"Expected result to be one of {', '.join(known)}; found {shown(result)}. Pass the result "
        "itself."
    )
