"""`rh-lens audit`, as a user types it."""

import json

import pytest
from published_file import reference_values, write_lists

from rh_lens.cli import main


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_lists(reference_values(), tmp_path_factory.mktemp("published") / "scores.json")


def test_a_published_file_is_audited_and_the_audit_saved(published, tmp_path, capsys):
    out = tmp_path / "audit"
    assert main(["audit", str(published), "--out", str(out)]) == 0
    printed = capsys.readouterr().out.replace("\n  ", " ")
    assert "samples: 586, distinct: 580" in printed
    assert "> 0.1: 33 (3.22 %), (0, 0.1]: 272 (26.56 %), = 0: 719 (70.21 %)" in printed
    assert "above 0 on every sample: 12" in printed
    assert f"Saved in {out / 'audit.json'}" in printed
    record = json.loads((out / "audit.json").read_text())
    assert (record["n_samples"], record["n_distinct"]) == (586, 580)


def test_thresholds_are_the_users(published, tmp_path, capsys):
    out = tmp_path / "mine.json"
    arguments = ["--thresholds", "0.3,0.2", "--out", str(out)]
    assert main(["audit", str(published), *arguments]) == 0
    assert "> 0.2: 25" in capsys.readouterr().out
    assert {row["threshold"] for row in json.loads(out.read_text())["effects"]} == {0.2, 0.3}


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ('{"0-0": [1]}', ["--thresholds", "a"], "expected thresholds such as 0.1,0.5, found 'a'"),
        ('{"0-0": 1}', [], "found one value for each head"),
        ('{"0-0": [1', [], "one JSON value"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(tmp_path, content, arguments, message, capsys):
    path = tmp_path / "scores.json"
    path.write_text(content)
    try:
        code = main(["audit", str(path), *arguments])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert len(error.strip().splitlines()) == 1
