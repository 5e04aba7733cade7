"""One trial as the page's script reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rh_lens.detection import Trial
from rh_lens.prompts import NeedlePrompt
from rh_lens.views.page.words import shortened

# Tokens shown before and after the needle; on each side of the answer; of what was said.
_AROUND, _BESIDE, _SAID = 40, 250, 200
_MAX_HEADS, _MAX_TOKEN = 24, 60
_NUMBERS = ("weight", "margin", "needle_mass", "sink_mass")


@dataclass(frozen=True, eq=False)
class TokenTexts:
    """Texts of token ids, by a tokenizer or by what was copied in a run."""

    tokenizer: Any
    known: Mapping[int, str]

    @classmethod
    def of(cls, tokenizer: Any, events: pd.DataFrame) -> "TokenTexts":
        """Texts by a tokenizer, or without one of the tokens that were copied."""
        copied = events.drop_duplicates("token_id")
        return cls(tokenizer, dict(zip(copied["token_id"], copied["token"], strict=True)))

    def __getitem__(self, token: int) -> str:
        """A token's text, or its number where that is not known."""
        if self.tokenizer is None:
            return str(self.known.get(token, f"⟨{token}⟩"))[:_MAX_TOKEN]
        return str(self.tokenizer.decode([token]))[:_MAX_TOKEN]


def trial_view(
    trial: Trial, events: pd.DataFrame, heads: pd.DataFrame, texts: TokenTexts
) -> dict[str, Any]:
    """A trial as JSON values.

    Args:
        trial: The trial.
        events: Its events.
        heads: One row a head, best first, with `label`, `layer`, `head` and `score`; may be empty.
        texts: Of tokens.

    Returns:
        `facts` pairs of name and value; `before` and `after` tokens that are not shown; `context`
        triples of text, role ("", "needle" or "answer") and whether it is a single token; `said`
        texts of the tokens said; `heads` with `label`, `score` and `copies`: step, place in the
        context (null: not shown), weight, margin, attention on the answer and on the first token.
    """
    prompt = trial.prompt
    context, first, start = _context(prompt, texts)
    shift = start - prompt.answer_span[0]
    said = trial.tokens.tolist()
    return {
        "facts": _facts(trial),
        "before": first,
        "after": max(len(prompt.tokens) - first - _n_tokens(prompt, context), 0),
        "context": context,
        "said": [texts[token] for token in said[:_SAID]],
        "cut": max(len(said) - _SAID, 0),
        "heads": [
            {"label": label, "score": score, "copies": _copies(rows, shift, len(context))}
            for label, score, rows in _by_head(events, heads)
        ],
    }


def _copies(events: pd.DataFrame, shift: int, n_shown: int) -> list[list[Any]]:
    """Step, place in the context (None: not shown) and numbers of each event of a head."""
    copies = []
    for row in events.to_dict("records"):
        place = int(row["source"]) + shift
        numbers = [round(float(row[name]), 3) for name in _NUMBERS]
        copies.append([int(row["step"]), place if 0 <= place < n_shown else None, *numbers])
    return copies


def _facts(trial: Trial) -> list[tuple[str, str]]:
    prompt = trial.prompt
    return [
        ("question", shortened(prompt.needle.question, 600)),
        ("right answer", shortened(prompt.needle.answer, 600)),
        ("said", shortened(trial.text, 600)),
        ("verdict", f"{shortened(trial.reason, 200)}, recall {trial.recall:.2f}"),
    ]


def _by_head(events: pd.DataFrame, heads: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Label, score and events of the heads that copied, by score."""
    groups: dict[Any, pd.DataFrame] = dict([*events.groupby(["layer", "head"])])
    rows = heads.to_dict("records")
    scores = {(row["layer"], row["head"]): float(row["score"]) for row in rows}
    order = [*scores] if scores else [*groups]
    return [
        (f"L{place[0]}H{place[1]}", _score(scores.get(place)), groups[place])
        for place in [place for place in order if place in groups][:_MAX_HEADS]
    ]


def _score(value: float | None) -> str:
    return "none" if value is None or value != value else f"{value:.3f}"


def _context(prompt: NeedlePrompt, texts: TokenTexts) -> tuple[list[list[Any]], int, int]:
    """Pieces around the needle, how many tokens come before them, and where the answer starts."""
    tokens = prompt.tokens.tolist()
    (first, stop), (start, end) = prompt.needle_span, prompt.answer_span
    low = max(first - _AROUND, start - _BESIDE, 0)
    high = min(stop + _AROUND, end + _BESIDE, start + 2 * _BESIDE, len(tokens))
    if min(tokens[low:high]) < 0:
        return _stored_context(prompt, texts)
    pieces = [[texts[tokens[place]], _role(place, prompt), True] for place in range(low, high)]
    return pieces, low, start - low


def _role(place: int, prompt: NeedlePrompt) -> str:
    (first, stop), (start, end) = prompt.needle_span, prompt.answer_span
    return "answer" if start <= place < end else "needle" if first <= place < stop else ""


def _stored_context(prompt: NeedlePrompt, texts: TokenTexts) -> tuple[list[list[Any]], int, int]:
    """The needle's own text around its answer's tokens, where no others were kept."""
    start, end = prompt.answer_span
    answer = [[texts[token], "answer", True] for token in prompt.tokens[start:end].tolist()]
    before, _, after = prompt.needle.text.partition(prompt.needle.answer)
    pieces = [[shortened(before, 600).rstrip(), "needle", False], *answer[: 2 * _BESIDE]]
    if after.strip():
        pieces.append([shortened(after, 600), "needle", False])
    return pieces, prompt.needle_span[0], 1


def _n_tokens(prompt: NeedlePrompt, context: list[list[Any]]) -> int:
    """Tokens that the pieces stand for."""
    if all(is_token for _, _, is_token in context):
        return len(context)
    return prompt.needle_span[1] - prompt.needle_span[0]
