"""`rh-lens doubt`, as a user types it."""

import json

import pandas as pd
import pytest

from rh_lens.cli import doubt, main
from rh_lens.doubts import DOUBTS

QUICK = ["--model", "demo", "--length", "128", "--depths", "1"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doubt")
    values = {f"{layer}-{head}": [0.0] for layer in range(4) for head in range(8)}
    values |= {f"2-{head}": [0.9] for head in (2, 3, 4, 5)}
    (folder / "scores.json").write_text(json.dumps(values))
    return folder


@pytest.mark.slow
def test_a_checklist_is_printed_saved_and_gone_on_with(files, capsys):
    out = files / "out"
    command = ["doubt", str(files / "scores.json"), *QUICK, "--out", str(out)]
    assert main([*command, "--doubts", "shuffled labels"]) == 0
    printed = capsys.readouterr().out
    assert "L2H2, L2H3, L2H4, L2H5: 12 prompts of 12 needles." in printed
    assert "\nSUPPORTED  shuffled labels: It is the same heads for every needle." in printed
    assert printed.index("against:") < printed.index("result:")
    assert main([*command, "--doubts", "shuffled labels,permuted answers", "--json"]) == 0
    captured = capsys.readouterr()
    assert "1 of 2 doubts are settled" in captured.err
    record = json.loads(captured.out)
    assert [one["verdict"] for one in record["doubts"]] == ["supported", "supported"]
    table = pd.read_csv(out / "checklist.csv")
    assert list(table["name"]) == ["permuted answers", "shuffled labels"]
    assert len(pd.read_csv(out / "permuted-answers.csv")) == 32


def test_the_command_knows_all_doubts():
    assert tuple(DOUBTS) == doubt.DOUBTS
