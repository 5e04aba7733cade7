"""`rh-lens compare`, as a user types it."""

import pandas as pd
import pytest
import torch

from rh_lens import write_head_scores
from rh_lens.cli import main
from rh_lens.demo.family_scores import load_family_scores
from rh_lens.detection import RetrievalScores

FEW = ["--permutations", "20"]


def scores(seed: int, shape: tuple[int, int, int] = (3, 4, 8)) -> RetrievalScores:
    values = torch.rand(shape, generator=torch.Generator().manual_seed(seed)).double() ** 4
    return RetrievalScores(values, "position", tuple(range(shape[0])))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two score files of one shape, and one of another."""
    folder = tmp_path_factory.mktemp("scores")
    for name, table in {"one": scores(0), "two": scores(1), "large": scores(2, (1, 6, 5))}.items():
        write_head_scores(table, folder / f"{name}.json")
    return folder


def test_two_files_give_a_table_with_one_row_a_pair(files, tmp_path, capsys):
    out = tmp_path / "new" / "table.csv"
    paths = [str(files / "one.json"), f"second={files / 'two.json'}", str(files / "large.json")]
    assert main(["compare", *paths, *FEW, "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert table["a"].tolist() == ["one", "one", "second"]
    assert table["b"].tolist() == ["second", "large", "large"]
    assert table["compared"].tolist()[1] == "profiles only: 4 x 8 against 6 x 5"
    expected = torch.corrcoef(torch.stack([scores(i).mean().flatten() for i in (0, 1)]))[0, 1]
    assert table["pearson"][0] == pytest.approx(expected.item(), abs=1e-9)
    printed = capsys.readouterr().out
    assert f"{expected:.2f} [{table['pearson_null_low'][0]:.2f}, " in printed
    assert "top-4 Jaccard" in printed
    assert "profiles only: 4 x 8 against 6 x 5" in printed
    assert f"Saved in {out}" in printed


def test_groups_of_heads_are_permuted_and_on_request_a_second_table(files, tmp_path, capsys):
    out = tmp_path / "table.csv"
    paths = [str(files / "one.json"), str(files / "two.json")]
    groups = ["--kv-heads", "4", "--group", "max"]
    assert main(["compare", *paths, *FEW, *groups, "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert table["unit"].tolist() == ["head", "KV group, max"]
    assert table["n"].tolist() == [32, 16]
    assert table["permuted"].tolist() == ["KV groups of 2", "heads"]
    printed = capsys.readouterr().out
    assert "By KV group, max" in printed
    assert "KV groups of 2" in printed


def test_a_result_is_named_after_its_folder_when_the_file_has_the_usual_name(tmp_path, capsys):
    for name in ("mistral", "llama"):
        (tmp_path / name).mkdir()
        write_head_scores(scores(len(name)), tmp_path / name / "head_scores.json")
    paths = [str(tmp_path / name / "head_scores.json") for name in ("mistral", "llama")]
    assert main(["compare", *paths, *FEW]) == 0
    printed = capsys.readouterr().out
    assert "mistral" in printed
    assert "llama" in printed


def test_a_run_folder_and_its_score_file_are_the_same(tmp_path):
    run, out = tmp_path / "run", tmp_path / "table.csv"
    detect = ["detect", "--lengths", "128", "--depths", "1", "--quiet", "--out", str(run)]
    assert main(detect) == 0
    file = f"file={run / 'head_scores.json'}"
    assert main(["compare", str(run), file, *FEW, "--out", str(out)]) == 0
    row = pd.read_csv(out).iloc[0]
    assert (row["a"], row["b"]) == ("run", "file")
    assert row["pearson"] == pytest.approx(1)
    # The run knows its key-value heads, the file does not.
    assert row["permuted"] == "KV groups of 2"
    assert row["sorted_score_distance"] == pytest.approx(0, abs=1e-12)


def test_without_arguments_the_bundled_family_is_compared(tmp_path):
    out = tmp_path / "family.csv"
    assert main(["compare", *FEW, "--out", str(out)]) == 0
    n = len(load_family_scores())
    assert len(pd.read_csv(out)) == n * (n - 1) // 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one.json"], "Expected two results or more; found ['one']"),
        (["one.json", "one.json"], "found 'one' twice. Write another name in front: NAME="),
        (["one.json", "none.json"], "none.json"),
        (["one.json", "two.json", "--kv-heads", "3"], "Expected n_kv_heads to divide 8 heads"),
        (
            ["one.json", "two.json", "--p", "2"],
            "--p: expected a number above 0 and below 1; found 2.0",
        ),
    ],
)
def test_bad_arguments_get_one_line_and_exit_code_2(arguments, message, files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    assert main(["compare", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
