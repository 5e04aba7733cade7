"""An answer with the places of a document that it was copied from."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from rh_lens.heads import Head
from rh_lens.prompts.sentences import sentence_gaps
from rh_lens.representation import cut, html_table
from rh_lens.uses.asked_document import AskedDocument
from rh_lens.uses.copied_tokens import Votes, is_content

_NUMBER = re.compile(r"\d(?:[\d.,]*\d)?")
# Tokens that a span may leap over: an article that was left out, a mark.
_MOST_LEFT_OUT = 2


@dataclass(frozen=True)
class SourceSpan:
    """A place of a document.

    Args:
        start: Its first character.
        stop: The character after its last.
        text: What it says.
        support: Mean support of the answer's tokens that were copied from it, in [0, 1].
    """

    start: int
    stop: int
    text: str
    support: float


@dataclass(frozen=True, eq=False)
class CitedAnswer:
    """An answer with its sources.

    Args:
        asked: Document and question.
        text: What the model answered.
        tokens: One row a token of the answer: `step`, `token_id`, `token` (its text), `start` and
            `stop` (characters of the answer), `content` (whether it has a letter or a digit),
            `position` (of the source in the prompt), `source_start` and `source_stop` (characters
            of the document; all three missing where no head copied it), `support` (in [0, 1]).
        heads: The heads that were asked.
        least_support: Support from which on a token counts as copied.
    """

    asked: AskedDocument
    text: str
    tokens: pd.DataFrame
    heads: tuple[Head, ...]
    least_support: float

    def __repr__(self) -> str:
        n = len(self.spans)
        what = "unsupported" if self.unsupported else f"{n} source{'s' * (n != 1)}"
        return f"CitedAnswer({cut(self.text.strip())!r}, {what}, support {self.support:.2f})"

    def _repr_html_(self) -> str:
        return html_table(self.parts(), repr(self), n_rows=20)

    @property
    def support(self) -> float:
        """Mean support of the answer's tokens with letters or digits; 0 without any."""
        content = self._content()
        return float(content["support"].mean()) if len(content) else 0.0

    @property
    def unsupported(self) -> bool:
        """Whether fewer than half of these tokens were copied from the document."""
        content = self._content()
        return bool(self._copied(content).sum() * 2 < len(content)) or not len(content)

    @property
    def spans(self) -> tuple[SourceSpan, ...]:
        """Places that the answer was copied from, in the order of the document."""
        return self._spans(self.tokens)

    def parts(self) -> pd.DataFrame:
        """Sentences and numbers of the answer, each with its own sources.

        Returns:
            Columns `kind` ("sentence" or "number"), `text`, `start` and `stop` (characters of the
            answer), `support` (mean over its tokens), `supported` (half of a sentence's tokens were
            copied; all of a number's: one wrong digit is another number), `sources` (half-open
            characters of the document, as a tuple of pairs).
        """
        rows = []
        for kind, start, stop in self._stretches():
            inside = (self.tokens["start"] < stop) & (self.tokens["stop"] > start)
            own = self.tokens[inside & self.tokens["content"]]
            n_copied = int(self._copied(own).sum())
            needed = len(own) if kind == "number" else len(own) / 2
            rows.append(
                {
                    "kind": kind,
                    "text": self.text[start:stop],
                    "start": start,
                    "stop": stop,
                    "support": float(own["support"].mean()) if len(own) else 0.0,
                    "supported": len(own) > 0 and n_copied >= needed,
                    "sources": tuple((span.start, span.stop) for span in self._spans(own)),
                }
            )
        names = ["kind", "text", "start", "stop", "support", "supported", "sources"]
        return pd.DataFrame(rows, columns=names)

    @property
    def marked(self) -> list[tuple[str, bool | None]]:
        """Text of each token, and whether it was copied; None for marks and spaces."""
        copied = self._copied(self.tokens).to_list()
        content = self.tokens["content"].to_list()
        return [
            (str(text), bool(one) if says else None)
            for text, says, one in zip(self.tokens["token"], content, copied, strict=True)
        ]

    def to_dataframe(self) -> pd.DataFrame:
        """A copy of `tokens`."""
        return self.tokens.copy()

    def _content(self) -> pd.DataFrame:
        return self.tokens[self.tokens["content"]]

    def _copied(self, rows: pd.DataFrame) -> "pd.Series[bool]":
        return rows["position"].notna() & (rows["support"] >= self.least_support)

    def _stretches(self) -> Iterable[tuple[str, int, int]]:
        """Kind and half-open characters of the answer's sentences and numbers."""
        ends = [0, *(int(gap[1]) for gap in sentence_gaps(self.text)), len(self.text)]
        for first, last in pairwise(ends):
            sentence = self.text[first:last]
            start = first + len(sentence) - len(sentence.lstrip())
            if sentence.strip():
                yield "sentence", start, start + len(sentence.strip())
        for match in _NUMBER.finditer(self.text):
            yield "number", match.start(), match.end()

    def _spans(self, rows: pd.DataFrame) -> tuple[SourceSpan, ...]:
        """The places that these of the answer's tokens were copied from."""
        kept = rows[rows["content"]]
        kept = kept[self._copied(kept)].sort_values("position", kind="stable")
        at = kept["position"].astype("int64")
        runs = (at.diff() > 1 + _MOST_LEFT_OUT).cumsum()
        spans = []
        for _, run in kept.groupby(runs):
            start, stop = self.asked.characters(
                int(run["position"].iloc[0]), int(run["position"].iloc[-1])
            )
            text = self.asked.document[start:stop]
            spans.append(SourceSpan(start, stop, text, float(run["support"].mean())))
        return tuple(spans)


def cited_answer(
    asked: AskedDocument,
    text: str,
    pieces: pd.DataFrame,
    votes: Votes,
    heads: tuple[Head, ...],
    least_support: float,
) -> CitedAnswer:
    """An answer whose tokens have these sources.

    Args:
        asked: Document and question.
        text: The answer.
        pieces: From `answer_pieces`.
        votes: The source of each of its tokens, and the support.
        heads: The heads that were asked.
        least_support: Support from which on a token counts as copied.
    """
    found = [None if at is None else asked.characters(at, at) for at, _ in votes]
    tokens = pieces.assign(
        content=[is_content(token) for token in pieces["token"]],
        position=pd.array([at for at, _ in votes], dtype="Int64"),
        source_start=pd.array([None if one is None else one[0] for one in found], dtype="Int64"),
        source_stop=pd.array([None if one is None else one[1] for one in found], dtype="Int64"),
        support=[float(support) for _, support in votes],
    )
    return CitedAnswer(asked, text, tokens, heads, least_support)
