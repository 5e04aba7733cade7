"""Questions of a reading task as cases for citation, with their answer and without."""

from collections.abc import Iterable
from itertools import pairwise

from rh_lens.checks import require_list
from rh_lens.evaluation.tasks import TaskItem
from rh_lens.evaluation.tasks.prompts import answer_places
from rh_lens.prompts import Needle
from rh_lens.prompts.sentences import sentence_gaps
from rh_lens.uses.citation_cases import CitationCase

QUESTION_KINDS = ("question", "answer left out")
"""A question as it is; the same without the sentences that hold its answer."""


def question_cases(items: Iterable[TaskItem]) -> list[CitationCase]:
    """Extractive questions as cases of `citation_quality` and `monitored_answers`.

    Two of each item, of the kinds `QUESTION_KINDS`. The first place at which an answer stands is
    the one that is to be cited. Statistics count needles: take one question of each document, as
    those of one document are no independent ones.

    Args:
        items: Of a reading task. Those are left out whose context does not hold the answer, or
            holds it in every sentence.

    Raises:
        TypeError: They are no items.
        ValueError: There is none, or none that can be used.

    Examples:
        >>> cases = question_cases(load_own([{"question": "Who swims?", "answers": "an otter",
        ...     "context": "It rained. There swims an otter. Nobody came."}]).items)
        >>> [case.document for case in cases]
        ['It rained. There swims an otter. Nobody came.', 'It rained. Nobody came.']
    """
    cases: list[CitationCase] = []
    chosen = require_list("items", items, TaskItem, at_least=1)
    for item in chosen:
        cases += _cases(item)
    if not cases:
        raise ValueError(
            f"Expected items whose context holds an answer beside other sentences; found none of "
            f"{len(chosen)}. Take those of a reading task, such as SQuAD's."
        )
    return cases


def _cases(item: TaskItem) -> list[CitationCase]:
    """Both cases of an item; none where it can't be used."""
    text, places = item.context, answer_places(item)
    gaps = sentence_gaps(text)
    starts = [0, *gaps[:, 1].tolist(), len(text)]
    sentences = list(pairwise(starts))
    held = [any(a < stop and start < b for start, stop in places) for a, b in sentences]
    rest = " ".join(
        text[a:b].strip() for (a, b), one in zip(sentences, held, strict=True) if not one
    )
    if not places or not rest or not item.question.strip():
        return []
    start, stop = places[0]
    first, last = next((a, b) for a, b in sentences if a <= start < b)
    needle = Needle(item.question, text[first : max(last, stop)].strip(), text[start:stop])
    whole, without = QUESTION_KINDS
    return [
        CitationCase(whole, text, needle, (start, stop)),
        CitationCase(without, rest, needle, None),
    ]
