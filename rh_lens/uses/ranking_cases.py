"""Queries with passages, some of them relevant: of BEIR's files, or made from needles."""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from rh_lens.checks import (
    require_list,
    require_seed,
    require_text,
    require_type,
    require_whole_number,
    shown,
)
from rh_lens.files import read_bytes, usable_path
from rh_lens.prompts import Haystack, Needle
from rh_lens.uses.bm25 import bm25_scores


@dataclass(frozen=True)
class RankingCase:
    """A query with passages to put in order.

    Args:
        query: What is asked.
        passages: Their texts.
        gains: Relevance of each passage, 0 or more.
        name: Names the query.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A text is blank, or the gains don't fit the passages.
    """

    query: str
    passages: tuple[str, ...]
    gains: tuple[float, ...]
    name: str

    def __post_init__(self) -> None:
        require_text("query", self.query)
        require_text("name", self.name)
        require_list("passages", self.passages, str, at_least=1)
        require_list("gains", self.gains, Real)
        if len(self.gains) != len(self.passages) or not min(self.gains) >= 0:
            raise ValueError(
                f"Expected gains of 0 or more, one for each of {len(self.passages)} passages; "
                f"found {shown(list(self.gains))}. Give irrelevant ones 0."
            )


def needle_cases(
    needles: Iterable[Needle],
    haystack: Haystack,
    *,
    n_passages: int = 10,
    n_sentences: int = 2,
    seed: int = 0,
) -> tuple[RankingCase, ...]:
    """A case for each needle: one passage holds it, others hold what looks like it, among prose.

    Half of the other passages have a sentence each that is none of the prose: the needle's own
    distractors (the same words, another fact), then other needles. The places are drawn.

    Args:
        needles: Two or more, with different questions.
        haystack: Where the prose around them is from.
        n_passages: Passages of each case.
        n_sentences: Sentences of prose in each passage, beside the needle.
        seed: Seed of the draws.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are too few needles or too little prose, or a number is out of range.

    Examples:
        >>> cases = needle_cases(evaluation_needles(), synthetic_haystack(n_sentences=200))
        >>> sum(cases[0].gains), len(cases[0].passages)
        (1.0, 10)
    """
    needles = require_list("needles", needles, Needle, at_least=2)
    require_type("haystack", haystack, Haystack)
    require_whole_number("n_passages", n_passages, at_least=2)
    require_whole_number("n_sentences", n_sentences, at_least=1)
    require_seed("seed", seed)
    prose = [s.strip() + "." for text in haystack.documents for s in text.split(".") if s.strip()]
    if len(prose) < n_passages * n_sentences:
        raise ValueError(
            f"Expected haystack to hold {n_passages * n_sentences} sentences or more; found "
            f"{len(prose)}. Take a longer one."
        )
    rng, cases = random.Random(seed), []
    for needle in needles:
        others = rng.sample([n for n in needles if n is not needle], len(needles) - 1)
        alike = [*needle.distractors, *others][: n_passages // 2]
        texts = [prose[i] for i in rng.sample(range(len(prose)), n_passages * n_sentences)]
        parts = [texts[i::n_passages] for i in range(n_passages)]
        for part, one in zip(parts, [needle, *alike], strict=False):
            part.insert(rng.randint(0, n_sentences), one.text)
        order = rng.sample(range(n_passages), n_passages)
        cases.append(
            RankingCase(
                needle.question,
                tuple(" ".join(parts[i]) for i in order),
                tuple(float(i == 0) for i in order),
                needle.question,
            )
        )
    return tuple(cases)


def read_beir(
    folder: str | Path, *, split: str = "test", n_passages: int = 20
) -> tuple[RankingCase, ...]:
    """Judged queries of a data set in BEIR's form, each with its best passages by BM25.

    Args:
        folder: Holds `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and
            `qrels/{split}.tsv` (a heading; query, passage and relevance).
        split: Which judgements.
        n_passages: Passages of each query; a corpus with more is searched with `bm25_scores`, and
            what that does not find is lost to every order.

    Raises:
        ImportError: The corpus has to be searched, and bm25s is not installed.
        OSError: A file is missing.
        TypeError: An argument is of another type.
        ValueError: A file is not as it should be, or judges nothing.

    Examples:
        >>> import json
        >>> import pandas as pd
        >>> from pathlib import Path
        >>> Path("qrels").mkdir()
        >>> passage = {"_id": "p1", "title": "", "text": "Otters swim."}
        >>> _ = Path("corpus.jsonl").write_text(json.dumps(passage))
        >>> _ = Path("queries.jsonl").write_text(json.dumps({"_id": "q1", "text": "Who swims?"}))
        >>> table = pd.DataFrame({"query-id": ["q1"], "corpus-id": ["p1"], "score": [1]})
        >>> table.to_csv("qrels/test.tsv", sep=chr(9), index=False)
        >>> len(read_beir("."))
        1
    """
    folder = usable_path("folder", folder)
    require_text("split", split)
    require_whole_number("n_passages", n_passages, at_least=1)
    corpus = {
        i: f"{row.get('title') or ''} {text}".strip()
        for i, text, row in _records(folder / "corpus.jsonl")
    }
    queries = {i: text for i, text, _ in _records(folder / "queries.jsonl")}
    judged = _judgements(folder / "qrels" / f"{split}.tsv", queries, corpus)
    ids, texts = list(corpus), list(corpus.values())
    cases = []
    for query, gains in judged.items():
        chosen = list(range(len(ids)))
        if len(ids) > n_passages:
            scores = bm25_scores(queries[query], texts)
            chosen = scores.argsort(descending=True, stable=True)[:n_passages].tolist()
        cases.append(
            RankingCase(
                queries[query],
                tuple(texts[i] for i in chosen),
                tuple(gains.get(ids[i], 0.0) for i in chosen),
                query,
            )
        )
    return tuple(cases)


def _lines(path: Path) -> list[str]:
    return read_bytes(path).decode("utf-8", "replace").split("\n")


def _records(path: Path) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Identifier, text and whole record of each line."""
    records = []
    for number, line in enumerate(
        read_bytes(path).decode("utf-8", "replace").splitlines(), start=1
    ):
        try:
            record = json.loads(line) if line.strip() else {}
            records += [(str(record["_id"]), str(record["text"]), record)] if record else []
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"Expected an object with _id and text in every line of {str(path)!r}; found "
                f"{shown(line, 60)} in line {number}. Check that it is a file of BEIR."
            ) from error
    return records


def _judgements(
    path: Path, queries: Mapping[str, str], corpus: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """Relevance of passages by query, of queries that have a relevant one."""
    judged: dict[str, dict[str, float]] = {}
    for number, line in enumerate(
        read_bytes(path).decode("utf-8", "replace").splitlines(), start=1
    ):
        cells: Sequence[str] = line.split("\t")
        try:
            if number == 1 or not line.strip():
                continue
            query, passage, gain = cells[0], cells[1], float(cells[2])
        except (ValueError, IndexError):
            query, passage, gain = "", "", -1.0
        if query not in queries or passage not in corpus or not 0 <= gain < 1e6:
            raise ValueError(
                f"Expected query, passage and relevance in every line of {str(path)!r}, with "
                f"identifiers of the other files; found {shown(line, 60)} in line {number}. Check "
                "that the files belong together."
            )
        judged.setdefault(query, {})[passage] = gain
    judged = {query: gains for query, gains in judged.items() if any(gains.values())}
    if not judged:
        raise ValueError(f"Expected judgements in {str(path)!r}; found none. Check the split.")
    return judged
