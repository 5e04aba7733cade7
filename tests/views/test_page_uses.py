"""The section on what the heads were put to use for, and what it is read from."""

import json

import pandas as pd
import pytest
from page_cases import HOSTILE, page_result
from parsed_page import by_id, parse_page

from rh_lens.runs import load_use
from rh_lens.views.page import page_content, page_html

RANKED = {"method": "BM25", "ndcg": 0.75, "ndcg_low": 0.5, "ndcg_high": 1.0, "recall_at_3": 0.25}
RECALL = {"recall": 1.0, "recall_low": 0.74, "recall_high": 1.0, "perplexity": 17.5}
CACHE = {"strategy": "retrieval heads", "share": 0.125, "n_bytes": 9, "of_full": 0.18} | RECALL
READ = {"reading": 0.5, "reading_low": 0.25, "reading_high": 0.75}


def folder(path, command, name, row):
    path.mkdir()
    (path / "run.json").write_text(json.dumps({"command": command}))
    pd.DataFrame([row]).to_csv(path / name, index=False)
    return path


def tables(*folders):
    uses = [load_use(one) for one in folders]
    section = by_id(parse_page(page_html(page_content(page_result(), uses=uses))), "uses")
    return section, [one.rows() for one in section.all("table")]


def test_each_use_has_its_table(tmp_path):
    ranked = folder(tmp_path / "rank", "rank", "ranking.csv", RANKED)
    compressed = folder(tmp_path / "compress", "compress", "curve.csv", CACHE | READ)
    _, (first, second) = tables(compressed, ranked)
    assert first[1] == [
        *("retrieval heads", "12.5\u00a0%", "18\u00a0%", "1.00", "0.74 to 1.00", "17.50"),
        *("0.50", "0.25 to 0.75"),
    ]
    assert second == [
        ["order by", "nDCG", "interval", "recall at 3"],
        ["BM25", "0.75", "0.50 to 1.00", "0.25"],
    ]


def test_names_stay_text(tmp_path):
    path = folder(tmp_path / "rank", "rank", "ranking.csv", RANKED | {"method": HOSTILE})
    section, _ = tables(path)
    assert not section.all("script")
    assert "document.title" in section.text


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match="names the command 'detect'"):
        load_use(folder(tmp_path / "a", "detect", "ranking.csv", RANKED))
    with pytest.raises(ValueError, match=r"curve.csv has no column"):
        load_use(folder(tmp_path / "b", "compress", "curve.csv", RANKED))
    with pytest.raises(FileNotFoundError, match=r"found no 'ranking.csv'"):
        load_use(folder(tmp_path / "c", "rank", "other.csv", RANKED))
