"""`rh-lens ablate`, as a user types it."""

import errno
import json
import shutil
from argparse import Namespace
from dataclasses import asdict

import pandas as pd
import pytest

from rh_lens.cli import main, options, output
from rh_lens.demo import load_demo_model
from rh_lens.evaluation import ablation_curve
from rh_lens.prompts import build_grid, evaluation_needles, load_haystack, synthetic_haystack
from rh_lens.runs import AblationFolder, load_ablation, reserve_folder

TINY = ["--haystack", __file__]
SMALL = ["--lengths", "128", "--depths", "1", "--controls", "1", "--rankings", "2", "--quiet"]
SMALL += ["--match", "layer"]
FEW = ["--top", "4", "--controls", "0", "--rankings", "0"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One small run of the bundled model: its folder and what was printed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        printed = []
        patch.setattr("builtins.print", lambda *text, **_: printed.append(" ".join(map(str, text))))
        assert main(["ablate", *SMALL, "--top", "0,4", "--out", str(out)]) == 0
    return out, "\n".join(printed)


def test_one_command_shows_that_the_top_four_heads_carry_the_recall(finished):
    out, printed = finished
    curve = pd.read_csv(out / "curve.csv").set_index("k")
    assert curve.loc[0, "top"] > 0.95
    assert curve.loc[4, "top"] < 0.1
    assert curve.loc[4, "p_untouched"] == pytest.approx(1 / 2**12)
    assert curve.loc[4, ["p_heads", "p_curve", "p_smallest"]].tolist() == [1 / 3] * 3
    controls = pd.read_csv(out / "controls.csv").set_index(["k", "match"])
    assert controls.loc[(4, "layer"), "control_lowest"] > 0.8
    assert controls.loc[(4, "layer"), "norm"] > 5 * controls.loc[(4, "layer"), "control_norm"]
    assert "4 heads with a position score >= 0.1: L2H" in printed
    assert "2 of 69 other rankings: 0.33 at the smallest" in " ".join(printed.split())
    # Said before the answers, and again with what came of it.
    before = "Heads are tested by 2 of 69 other rankings of the same layers: p = 0.33"
    assert printed.index(before) < printed.index("Needle recall with the top K")
    assert "How answers come out" in printed
    assert f"Saved in {out}" in printed


def test_everything_is_saved_with_where_it_comes_from(finished):
    out, _ = finished
    assert sorted(path.name for path in out.iterdir()) == [
        "answers.csv",
        "controls.csv",
        "curve.csv",
        "curve.png",
        "errors.csv",
        "failures.csv",
        "heads.csv",
        "log",
        "perplexity.csv",
        "run.json",
        "tables",
    ]
    run = json.loads((out / "run.json").read_text())
    assert (run["status"], run["command"], run["n_prompts"]) == ("finished", "ablate", 12)
    assert run["tables"]["answers"] == 5 * 12
    assert run["arguments"]["operator"] == "zero"
    assert len(run["ranking"]) == 4
    assert set(run["ranking"]) == set(run["retrieval_heads"]) == set(run["recorded_heads"])
    heads = pd.read_csv(out / "heads.csv", index_col="condition")["heads"]
    assert set(heads["top-4"].split()) == set(run["ranking"])
    assert not set(heads["control-4-layer-0"].split()) & set(run["ranking"])


def test_the_model_keeps_its_language(finished):
    out, _ = finished
    perplexity = pd.read_csv(out / "perplexity.csv", index_col="condition")
    assert perplexity.loc["top-4", "ratio"] == pytest.approx(1.0, abs=0.05)


def test_errors_say_what_the_silenced_heads_did(finished):
    errors = pd.read_csv(finished[0] / "errors.csv")
    assert set(errors["condition"]) >= {"top-4"}
    assert (errors["condition"] == "top-4").sum() == 12
    assert {"active_on_needle", "active_elsewhere", "sink_mass", "partly_active"} <= set(errors)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Scores in which the retrieval heads come first, three needles and a short haystack."""
    folder = tmp_path_factory.mktemp("files")
    scores = {f"{layer}-{head}": [0.0] for layer in range(4) for head in range(8)}
    scores |= {f"2-{head}": [1 - head / 10] for head in (2, 3, 4, 5)}
    (folder / "head_scores.json").write_text(json.dumps(scores))
    lines = [json.dumps(asdict(needle)) for needle in evaluation_needles()[:3]]
    (folder / "needles.jsonl").write_text("\n".join(lines))
    (folder / "haystack.txt").write_text(synthetic_haystack(n_sentences=60).text)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("operator", ["uniform", "mean"])
def test_other_operators_take_the_answer_away(files, operator, tmp_path):
    out = tmp_path / "run"
    arguments = [str(files / "head_scores.json"), "--needles", str(files / "needles.jsonl")]
    arguments += ["--haystack", str(files / "haystack.txt")]
    arguments += [
        "--lengths",
        "128",
        "--depths",
        "1",
        "--controls",
        "0",
        "--rankings",
        "0",
        "--top",
        "4",
    ]
    arguments += ["--quiet", "--scope", "decode", "--operator", operator, "--out", str(out)]
    assert main(["ablate", *arguments]) == 0
    curve = pd.read_csv(out / "curve.csv").set_index("k")
    assert curve.loc[0, "top"] == 1.0
    assert curve.loc[4, "top"] < 0.2
    run = json.loads((out / "run.json").read_text())
    assert run["retrieval_heads"] == ["L2H2", "L2H3", "L2H4", "L2H5"]
    assert run["scores_origin"]["path"].endswith("head_scores.json")


def test_without_matplotlib_there_is_no_picture_and_no_error(tmp_path, capsys):
    def refuse():
        raise ImportError("Install rh-lens[viz]")

    output.save_picture(tmp_path / "curve.png", refuse)
    assert "no curve.png: Install rh-lens[viz]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top", "one"], "expected numbers such as 0,1,5, found 'one'"),
        (["--match", "size"], "expected some of layer,kv-group,norm,entropy,any with commas"),
        (["--top", "-1"], "expected numbers such as 0,1,5, found '-1'"),
        (["--operator", "mask"], "invalid choice: 'mask'"),
        (["--model", "gpt2", *TINY], "Run rh-lens detect first and name its folder"),
        (["no-such-folder", *TINY], "no-such-folder"),
    ],
)
def test_bad_arguments_get_one_line_and_exit_code_2(arguments, message, capsys, tmp_path):
    try:
        code = main(["ablate", *arguments, "--out", str(tmp_path / "run")])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_more_heads_than_the_model_has_are_refused(files, tmp_path, capsys):
    arguments = [str(files / "head_scores.json"), *SMALL, "--top", "50"]
    arguments += ["--haystack", str(files / "haystack.txt")]
    assert main(["ablate", *arguments, "--out", str(tmp_path / "run")]) == 2
    assert "from 0 to 32, the heads of the ranking" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_scores_of_another_model_are_refused(files, tmp_path, capsys):
    scores = tmp_path / "head_scores.json"
    scores.write_text(json.dumps({"0-0": [1.0], "1-3": [0.5]}))
    arguments = [str(scores), *SMALL, "--haystack", str(files / "haystack.txt")]
    assert main(["ablate", *arguments, "--out", str(tmp_path / "run")]) == 2
    assert "Name the model that they belong to with --model" in capsys.readouterr().err


def test_a_used_folder_is_refused_before_anything_is_asked(tmp_path, capsys):
    (tmp_path / "old.csv").write_text("results")
    assert main(["ablate", "--model", "nowhere", "--out", str(tmp_path)]) == 2
    assert "Expected a new or empty folder for a run" in capsys.readouterr().err


def test_what_is_impossible_is_said_before_the_model_is_loaded(tmp_path, capsys, monkeypatch):
    """With a file in the way, or a second process; the model does not even exist."""
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        assert main(["ablate", "--model", "nowhere", *TINY, "--out", str(out)]) == 2
        assert "it is impossible: " in capsys.readouterr().err
    with reserve_folder(tmp_path / "run"):
        assert main(["ablate", "--model", "nowhere", "--out", str(tmp_path / "run")]) == 2
        assert "Expected no other process to write to the run" in capsys.readouterr().err


@pytest.fixture
def tables_of(files):
    """Runs the command on three needles, and reads what it saved."""

    def run(out, *more, code=0):
        arguments = [str(files / "head_scores.json"), "--needles", str(files / "needles.jsonl")]
        # Too short a text to measure perplexity on, which would take longer than all the rest.
        arguments += ["--haystack", str(files / "haystack.txt"), "--lengths", "128"]
        arguments += ["--depths", "1", "--controls", "1", "--quiet"]
        arguments += ["--rankings", "2", "--match", "layer"]
        arguments += ["--top", "2,4", "--out", str(out), *more]
        assert main(["ablate", *arguments]) == code
        return load_ablation(out).tables.by_name() if code == 0 else {}

    return run


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["both", "decode"])
def test_a_run_that_was_killed_goes_on_to_the_same_result(tables_of, tmp_path, monkeypatch, scope):
    """The folder as a kill would leave it between two savings: equal to the last bit."""
    add, asked = AblationFolder.add, []

    def copy_then_add(self, answers):
        shutil.copytree(self.path, tmp_path / f"{self.path.name}-{len(asked)}")
        asked.append(len(answers))
        add(self, answers)

    monkeypatch.setattr(AblationFolder, "add", copy_then_add)
    undisturbed = tables_of(tmp_path / "whole", "--scope", scope)
    n_answers, middle = sum(asked), len(asked) // 2
    asked.clear()
    found = tables_of(tmp_path / f"whole-{middle}", "--scope", scope)
    assert 0 < sum(asked) < n_answers
    for name, table in undisturbed.items():
        pd.testing.assert_frame_equal(found[name], table, check_exact=True)


@pytest.mark.slow
def test_more_controls_are_added_to_what_is_there(tables_of, tmp_path, capsys):
    tables_of(tmp_path / "run")
    n_before = json.loads((tmp_path / "run" / "run.json").read_text())["n_answers"]
    grown = tables_of(tmp_path / "run", "--top", "2,4,6")
    assert f"{n_before} answers are in {tmp_path / 'run'}; going on." in capsys.readouterr().err
    assert grown["curve"]["k"].tolist() == [0, 2, 4, 6]
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["n_answers"] == len(grown["answers"]) > n_before
    tables_of(tmp_path / "run", "--stop", "goose", code=2)
    assert "options.stop.strings: " in capsys.readouterr().err


def test_an_interrupted_run_says_where_to_go_on(tables_of, tmp_path, monkeypatch, capsys):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("rh_lens.evaluation.curve_perplexity", stop)
    tables_of(tmp_path / "run", *FEW, code=130)
    error = capsys.readouterr().err
    assert "answers are in" in error
    assert "the same command with this --out goes on" in error
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "stopped"


@pytest.mark.slow
def test_perplexity_goes_on_where_it_was_killed(finished, tmp_path, monkeypatch):
    """Nothing is answered again, and no window that is in the log is read again."""
    out, n_windows = shutil.copytree(finished[0], tmp_path / "run"), 16
    for path in sorted((out / "log").glob("0*"))[-5:]:
        path.unlink()  # as a kill leaves it: the last windows are missing
    (out / "run.json").unlink()
    asked = []
    add = AblationFolder.add_losses
    monkeypatch.setattr(AblationFolder, "add", lambda self, answers: 1 / 0)
    monkeypatch.setattr(
        AblationFolder, "add_losses", lambda self, losses: (asked.append(losses), add(self, losses))
    )
    assert main(["ablate", *SMALL, "--top", "0,4", "--out", str(out)]) == 0
    assert [{window for _, window in losses} for losses in asked] == [{11 + n} for n in range(5)]
    assert (out / "perplexity.csv").read_bytes() == (finished[0] / "perplexity.csv").read_bytes()
    assert len(list((out / "log").glob("0*"))) == len(list((finished[0] / "log").glob("0*")))
    assert n_windows == 11 + len(asked)


def test_on_a_full_disk_everything_is_printed_then_the_error(
    tables_of, tmp_path, monkeypatch, capsys
):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("rh_lens.runs.log.LogWriter.append", full)
    tables_of(tmp_path / "run", *FEW, code=2)
    printed, error = capsys.readouterr()
    assert "Needle recall with the top K heads silenced" in printed
    assert "How answers come out" in printed
    assert "Saved in" not in printed
    assert error.count("answers can't be saved for now: [Errno 28] No space left") == 1
    assert "found: no space left on device" in error


def test_two_default_folders_begun_in_one_second_differ(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(options, "run_name", lambda model: "demo-20260102-030405")
    args = Namespace(out=None, model="demo")
    with options.reserved(args, "ablate") as one, options.reserved(args, "ablate") as two:
        assert one.name == "ablate-demo-20260102-030405"
        assert two.name == "ablate-demo-20260102-030405-2"
    assert not (tmp_path / "rh_lens_runs").exists()


def test_scores_of_a_run_with_other_weights_are_refused(files, tmp_path, capsys):
    run, few = tmp_path / "run", ["--needles", str(files / "needles.jsonl"), "--lengths", "128"]
    few += ["--haystack", str(files / "haystack.txt"), "--depths", "1", "--quiet"]
    assert main(["detect", *few, "--out", str(run)]) == 0
    capsys.readouterr()
    arguments = [str(run), *SMALL, *few, "--dtype", "bfloat16", "--out", str(tmp_path / "ablate")]
    assert main(["ablate", *arguments]) == 2
    error = capsys.readouterr().err
    assert "dtype: 'float32' there, 'bfloat16' here" in error
    assert "weights_sha256: " in error
    assert not (tmp_path / "ablate").exists()


def test_saved_tables_are_those_of_the_library(tables_of, files, tmp_path):
    """Three needles, asked by the command and by the library from the ranking that was saved."""
    tables_of(tmp_path / "run", "--top", "4")
    stored, demo_model = load_ablation(tmp_path / "run"), load_demo_model()
    prompts = build_grid(
        demo_model.tokenizer,
        load_haystack(str(files / "haystack.txt")),
        evaluation_needles()[:3],
        context_lengths=[128],
        depths=1,
    )
    curve = ablation_curve(
        demo_model,
        prompts,
        stored.ranking,
        ks=[0, 4],
        n_controls=1,
        n_rankings=2,
        exclude=stored.ranking[:4],
        record=stored.ranking[:4],
        progress=False,
    )
    pd.testing.assert_frame_equal(stored.tables.answers, curve.answers, check_exact=True)
    pd.testing.assert_frame_equal(stored.curve, curve.to_dataframe(), check_exact=True)
