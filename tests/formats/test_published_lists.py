"""DuoAttention's gates and QRHead's lists of heads."""

import pytest
import torch

from rh_lens.detection import RetrievalScores
from rh_lens.formats import (
    read_duo_attention,
    read_head_scores,
    read_qrhead,
    write_duo_attention,
    write_qrhead,
)
from rh_lens.heads import Head


def one_sample(values):
    return RetrievalScores(torch.tensor([values], dtype=torch.float64), "position", (0,))


@pytest.fixture
def gates(tmp_path):
    path = tmp_path / "full_attention_heads.tsv"
    path.write_text("-9.5e-05\t5.0e-01\n1.000000e+00\t1.25\n2.5e-01\t0.0\n")
    return path


def test_gates_are_one_sample_of_key_value_heads_cut_to_0_and_1(gates):
    scores = read_duo_attention(gates)
    assert scores.values.tolist() == [[[0.0, 0.5], [1.0, 1.0], [0.25, 0.0]]]
    assert scores.name == "duo-attention-gate"
    assert (scores.origin.format, scores.origin.n_samples) == ("DuoAttention gates", None)


def test_query_heads_have_the_gate_of_their_key_value_head(gates):
    scores = read_duo_attention(gates, n_layers=3, n_heads=4)
    assert scores.mean()[0].tolist() == [0.0, 0.0, 0.5, 0.5]
    assert scores.mean()[2].tolist() == [0.25, 0.25, 0.0, 0.0]


def test_a_key_value_head_is_written_with_its_best_query_heads_score(tmp_path):
    path = tmp_path / "gates.tsv"
    write_duo_attention(one_sample([[0.25, 0.5, 0.0, 0.125]]), path, n_kv_heads=2)
    assert path.read_text() == "0.5\t0.125\n"


def test_published_files_are_told_apart_by_their_names(gates, tmp_path):
    assert read_head_scores(gates).name == "duo-attention-gate"
    assert read_head_scores(tmp_path, n_heads=4).values.shape == (1, 3, 4)
    write_qrhead([Head(1, 2), Head(0, 0)], tmp_path / "heads.yaml")
    assert read_head_scores(tmp_path / "heads.yaml").name == "qrhead-rank"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("1\t0\n1\n", {}, "Expected 2 gates in every line .*gates.tsv.*found 1 in line 2"),
        ("1\tx\n", {}, "numbers separated by tabs in .*gates.tsv.*found 'x' in line 1"),
        ("1\tnan\n", {}, "found 'nan' in line 1"),
        ("1 0\n", {}, "found '1 0' in line 1"),
        ("1\t0\n", {"n_layers": 2}, "one line for each of 2 layers; found 1 in .*gates.tsv"),
        ("1\t0\n", {"n_heads": 3}, "divides 3 query heads; found 2 in .*gates.tsv"),
    ],
)
def test_malformed_gates_are_refused(tmp_path, text, options, message):
    path = tmp_path / "gates.tsv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_duo_attention(path, **options)


def test_scores_that_are_no_gates_are_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"found 0.5 to 1.5 and 1 heads without one"):
        write_duo_attention(one_sample([[0.5, 1.5, float("nan")]]), tmp_path / "gates.tsv")
    with pytest.raises(ValueError, match="divide 2 query heads; found 3"):
        write_duo_attention(one_sample([[0.5, 1.0]]), tmp_path / "gates.tsv", n_kv_heads=3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("heads.yaml", '# default\nattn_head_set: "3-1,0-2,3-0" # top 3\nmodel_base_class: "x"\n'),
        ("heads.yml", "attn_head_set: ['3-1', [0, 2], L3H0]\n"),
        ("heads.txt", "3-1,0-2,3-0\n"),
        ("heads.txt", "3-1\n0-2\n3-0\n"),
        ("heads.txt", "L3H1, L0H2, L3H0,"),
    ],
)
def test_listed_heads_score_by_their_rank_and_the_others_zero(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    scores = read_qrhead(path, n_heads=4)
    assert scores.top(3) == [Head(3, 1), Head(0, 2), Head(3, 0)]
    assert [float(scores.mean()[h.layer, h.head]) for h in scores.top(4)] == [1, 2 / 3, 1 / 3, 0]
    assert scores.values.shape == (1, 4, 4)
    assert (scores.name, scores.origin.n_samples) == ("qrhead-rank", None)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("heads.yaml", "attn_head_set: [", "Expected YAML in .*heads.yaml.*line 1"),
        ("heads.yaml", "heads: 3-1", "under 'attn_head_set' in .*heads.yaml.*no such key"),
        ("heads.yaml", "- 3-1", "no such key"),
        ("heads.yaml", "attn_head_set: full_heads", "found 'full_heads'.*ranks none"),
        ("heads.yaml", "attn_head_set: [[1, -2]]", r"found \[1, -2\]"),
        ("heads.yaml", "attn_head_set: []", "found none"),
        ("heads.txt", "3-1,3-1", "heads.txt.*found L3H1 twice"),
        ("heads.txt", "3-1;0-2", "found '3-1;0-2'"),
        ("heads.txt", "", "found nothing"),
    ],
)
def test_malformed_lists_are_refused(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read_qrhead(path)


def test_a_list_of_nothing_or_of_one_head_twice_is_not_written(tmp_path):
    for heads in ([], [Head(0, 1), Head(0, 1)]):
        with pytest.raises(ValueError, match="one or more, each once"):
            write_qrhead(heads, tmp_path / "heads.yaml")
