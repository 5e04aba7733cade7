"""Which prompts `rh-lens detect` asks, and what it says of them before it begins."""

import json
import os
from argparse import Namespace
from pathlib import Path

import pandas as pd
import pytest

from rh_lens.cli import detect_grid, main, options
from rh_lens.evaluation import PackingCheck, grid_choice
from rh_lens.evaluation.intervals import Estimate

NONE, TABLE = Estimate(0.0, 0.0, 0.0, 12), pd.DataFrame({"label": []})


def asked(**values):
    plain = {"grid": "asked", "packed": "never", "needles_per_context": None}
    return Namespace(**{**plain, "lengths": options.DEFAULT_LENGTHS, **values})


def test_the_published_grid_has_twenty_lengths_from_1k_to_50k():
    found = detect_grid._paper_lengths(asked(grid="paper"), 100_000)
    assert len(found) == 20
    assert (found[0], found[1], found[-1]) == (1_000, 3_579, 50_000)


def test_the_published_grid_goes_as_far_as_the_model_and_as_is_asked(capsys):
    assert detect_grid._paper_lengths(asked(), 2_000)[-1] == 2_000
    assert "reads 2,000 tokens: lengths go up to that, not to 50,000" in capsys.readouterr().err
    found = detect_grid._paper_lengths(asked(lengths=[4_000, 100]), 2_000)
    assert (found[0], found[-1], len(found)) == (100, 4_000, 20)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"grid": "paper", "packed": "auto"}, "one needle a prompt, or --packed; found both"),
        ({"needles_per_context": 4}, "--needles-per-context with --packed; found 4 without"),
    ],
)
def test_options_that_exclude_each_other(values, message):
    with pytest.raises(ValueError, match=message):
        detect_grid.require_grid(asked(**values))


def test_needles_that_collide_are_refused_before_the_model_is_loaded(tmp_path, capsys, monkeypatch):
    needle = {"question": "Which bird?", "needle": "The bird was a heron.", "answer": "heron"}
    path = tmp_path / "needles.jsonl"
    path.write_text("\n".join(json.dumps(needle) for _ in range(2)))
    monkeypatch.setattr(options, "load_model", lambda args: pytest.fail("the model was loaded"))
    monkeypatch.chdir(tmp_path)
    assert main(["detect", "--packed", "--needles", str(path)]) == 2
    assert "they ask the same question. Leave one of each pair out" in capsys.readouterr().err


def test_a_dry_run_tells_what_a_run_takes_and_writes_nothing(tmp_path, capsys, monkeypatch):
    """Twelve needles in six pairs, each at two depths: twelve contexts of 160 tokens."""
    monkeypatch.chdir(tmp_path)
    words = "detect --lengths 160 --depths 2 --packed always --needles-per-context 2 --dry-run"
    assert main([*words.split(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n_prompts"], found["n_contexts"]) == (24, 12)
    assert found["n_read"] < found["n_tokens"]
    assert found["seconds"] > 0
    assert found["fits"]
    assert not list(tmp_path.iterdir())


def test_shards_of_a_job_array_ask_what_the_first_one_chose(tmp_path, capsys, monkeypatch):
    """`--shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT`, array 1-2: as by one process."""
    monkeypatch.chdir(tmp_path)
    checked = []

    def check(model, alone, packed, **options):
        checked.append(len(packed))
        return PackingCheck(*(len(packed), 2, (1.0, 1.0), NONE, TABLE, 1.0, 0.05, ()))

    monkeypatch.setattr(grid_choice, "check_packing", check)
    words = "detect --lengths 160 --depths 2 --packed --needles-per-context 2 --quiet".split()
    assert main([*words, "--out", "one"]) == 0
    for number in "12":
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", number)
        monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
        shard = os.path.expandvars("$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT")
        assert main([*words, "--out", "array", "--shard", shard]) == 0
    assert main(["merge", "array"]) == 0
    assert len(checked) == 2  # by one process, and by the first shard
    one, array = (
        json.loads(Path(name, "head_scores.json").read_text()) for name in ("one", "array")
    )
    assert one == array
    kept = [json.loads(Path(name, "run.json").read_text())["grid"] for name in ("one", "array")]
    assert kept[0] == kept[1]
    assert kept[0]["asked_together"] == 2
    capsys.readouterr()
    assert main([*words, "--out", "one"]) == 0
    assert "2 needles a haystack, as chosen when this run began" in capsys.readouterr().err
    assert len(checked) == 2
    assert main([*words, "--out", "array", "--shard", "0/2"]) == 2
    assert "a job array that begins at 0, add 1 to its number" in capsys.readouterr().err
