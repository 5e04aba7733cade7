"""Which of several copies was copied, and which of several answers was said."""

from collections.abc import Sequence

import pandas as pd
import torch

from rh_lens.checks import require_list, require_type
from rh_lens.detection import Trial, acceptance
from rh_lens.doubts.recording import AnswerRows, Span
from rh_lens.heads import HeadsLike, as_heads
from rh_lens.prompts import Needle, NeedlePrompt
from rh_lens.prompts.pieces import require_tokenizer

NEEDLE = "needle"
COPY_COLUMNS = ("trial", "step", "layer", "head", "source", "role", "sentence", "place", "n_places")
"""Columns of `copied_where`.

`role` "needle", or what the copied sentence is; `sentence` 0 for the needle, then its others from 1
on; `place` which of the sentences it is in the order of the text, from 0; `n_places` how many
sentences there are.
"""


def copied_where(
    rows: Sequence[AnswerRows], heads: HeadsLike, roles: Sequence[str] = ()
) -> pd.DataFrame:
    """Copy-paste events by the sentence that was copied from: the needle's or another one's.

    A copy counts where a head's most-attended position lies in the answer of one of the sentences
    and holds the token that is said (Wu et al. 2024, arXiv:2404.15574, for every sentence).

    Args:
        rows: From `record_trials`.
        heads: Whose copies.
        roles: What each of the other sentences is; `HAYSTACK_KINDS[kind].roles`.

    Returns:
        One row a copy: columns `COPY_COLUMNS`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no row.

    Examples:
        >>> table = copied_where(record_trials(model, trials[:2]), heads)
        >>> len(table) > 0, table.columns.tolist()[:3]
        (True, ['trial', 'step', 'layer'])
    """
    given = require_list("rows", rows, AnswerRows, at_least=1)
    names = require_list("roles", roles, str)
    found = []
    for trial, row in enumerate(given):
        spans = answer_spans(row.prompt)
        order = sorted(range(len(spans)), key=lambda index: spans[index])
        layers = {layer: place for place, layer in enumerate(row.sources.layers)}
        for head in as_heads(heads):
            if head.layer not in layers:
                continue
            source = row.sources.source[:, layers[head.layer], head.head]
            for step, index in _copies(row, source, spans):
                found.append(
                    (trial, step, head.layer, head.head, int(source[step]),
                     _role(index, names), index, order.index(index), len(spans))
                )  # fmt: skip
    return pd.DataFrame(found, columns=list(COPY_COLUMNS))


def said_where(
    trials: Sequence[Trial], tokenizer: object, roles: Sequence[str] = ()
) -> pd.DataFrame:
    """How much of each sentence's answer was said: of the needle's, and of the others'.

    Args:
        trials: Of a detection, accepted or not.
        tokenizer: The model's.
        roles: As in `copied_where`.

    Returns:
        One row a trial and sentence: `trial`, `needle`, `role`, `sentence`, `place`, `recall` (of
        that sentence's answer, in [0, 1]).

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no trial.

    Examples:
        >>> said_where(trials, tokenizer)[["trial", "recall"]].head(2)
           trial  recall
        0      0     1.0
        1      1     1.0
    """
    require_tokenizer(tokenizer)
    names = require_list("roles", roles, str)
    found = []
    for trial in require_list("trials", trials, Trial, at_least=1):
        spans = answer_spans(trial.prompt)
        order = sorted(range(len(spans)), key=lambda index: spans[index])
        for index, answer in enumerate(_answers(trial.prompt.needle)[: len(spans)]):
            lure = Needle("What?", answer, answer)
            verdict = acceptance(trial.text, trial.tokens.tolist(), lure, tokenizer)
            found.append(
                (trial.index, trial.prompt.needle.name, _role(index, names), index,
                 order.index(index), verdict.recall)
            )  # fmt: skip
    columns = ["trial", "needle", "role", "sentence", "place", "recall"]
    return pd.DataFrame(found, columns=columns)


def answer_spans(prompt: NeedlePrompt) -> list[Span]:
    """Answer spans of the needle and of every other sentence, the needle's first.

    Raises:
        TypeError: It is no prompt.

    Examples:
        >>> answer_spans(prompt) == [prompt.answer_span]
        True
    """
    require_type("prompt", prompt, NeedlePrompt, remedy="Take one of harder_prompts.")
    return [prompt.answer_span, *prompt.distractor_answer_spans]


def _copies(row: AnswerRows, source: torch.Tensor, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Steps that copy, each with the sentence copied from."""
    tokens = row.prompt.tokens
    found = []
    for step, place in enumerate(source.tolist()):
        inside = [index for index, (start, stop) in enumerate(spans) if start <= place < stop]
        if inside and int(tokens[place]) == int(row.said[step]):
            found.append((step, inside[0]))
    return found


def _answers(needle: Needle) -> list[str]:
    return [needle.answer, *(one.answer for one in needle.distractors)]


def _role(index: int, roles: Sequence[str]) -> str:
    if not index:
        return NEEDLE
    return roles[index - 1] if index <= len(roles) else "distractor"
