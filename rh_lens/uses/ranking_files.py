"""Queries with passages, read from files: BEIR's folders, and JSON lines."""

import json
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from rh_lens.checks import (
    require_list,
    require_number,
    require_text,
    require_whole_number,
    shown,
)
from rh_lens.files import read_bytes, usable_path
from rh_lens.prompts.text_file import existing_file
from rh_lens.uses.bm25 import bm25_scores
from rh_lens.uses.ranking_cases import RankingCase


def read_ranking(
    path: str | Path, *, split: str = "test", n_passages: int = 20
) -> tuple[RankingCase, ...]:
    """Judged queries of a folder in BEIR's form, or of a file of JSON lines.

    | key of a line | |
    |---|---|
    | `query` | what is asked |
    | `passages` | a list of texts |
    | `relevant` | indices of the relevant ones, from 0; or `gains`, a number for each passage |
    | `name` | may be missing: the line's number |

    Args:
        path: The folder, see `read_beir`, or the file.
        split: Which judgements of a folder.
        n_passages: Passages of each query of a folder; a file's lines have their own.

    Raises:
        ImportError: A corpus has to be searched, and bm25s is not installed.
        OSError: There is no such file.
        TypeError: An argument is of another type.
        ValueError: A file is not as it should be, or judges nothing.

    Examples:
        >>> import json
        >>> from pathlib import Path
        >>> line = {"query": "Who swims?", "passages": ["It rains.", "Otters swim."]}
        >>> _ = Path("queries.jsonl").write_text(json.dumps(line | {"relevant": [1]}))
        >>> read_ranking("queries.jsonl")[0].gains
        (0.0, 1.0)
    """
    path = usable_path("path", path)
    if path.is_dir():
        return read_beir(path, split=split, n_passages=n_passages)
    require_text("split", split)
    require_whole_number("n_passages", n_passages, at_least=1)
    remedy = "Give a folder in BEIR's form or a file with one JSON object a line."
    lines = read_bytes(existing_file("queries with passages", path, remedy=remedy))
    text = lines.decode("utf-8", "replace").splitlines()
    cases = [_case(path, n, line) for n, line in enumerate(text, start=1) if line.strip()]
    if not cases:
        raise ValueError(f"Expected a query or more in {str(path)!r}; found none. {remedy}")
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


def _case(path: Path, number: int, line: str) -> RankingCase:
    """The query of one line."""
    try:
        record = json.loads(line)
        query, passages = record["query"], require_list("passages", record["passages"], str)
        require_text("query", query)
        gains = _gains(record, len(passages))
        return RankingCase(query, tuple(passages), gains, str(record.get("name") or number))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        why = str(error) if isinstance(error, (ValueError, TypeError)) else type(error).__name__
        raise ValueError(
            f"Expected query, passages and relevant (or gains) in every line of {str(path)!r}; "
            f"found {shown(line, 60)} in line {number} ({why[:200]}). See read_ranking."
        ) from error


def _gains(record: Mapping[str, Any], n_passages: int) -> tuple[float, ...]:
    """Relevance of each passage of a line."""
    if "gains" in record:
        gains = require_list("gains", record["gains"], Real)
        for gain in gains:
            require_number("gains", gain, at_least=0)
        return tuple(map(float, gains))
    relevant = require_list("relevant", record["relevant"], int)
    for place in relevant:
        require_whole_number("relevant", place, at_least=0, at_most=n_passages - 1)
    return tuple(float(place in relevant) for place in range(n_passages))
