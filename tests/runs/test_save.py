"""A result that was made in memory is saved, and comes back to the last digit."""

import json

import pandas as pd
import pytest
import torch
from stored_runs import SCORES, contents

from rh_lens.detection import MemoryLog, detect_retrieval_heads
from rh_lens.runs import RunFolder, load_result, load_run, save_result


@pytest.fixture(scope="module")
def detected(llama, otter_prompt):
    prompts = [otter_prompt] * 3
    options = {"score": "teacher-forced", "threshold": 0.05, "progress": False}
    return detect_retrieval_heads(llama, prompts, **options)


def assert_same_result(found, expected):
    """To the last bit, prompts included."""
    assert (found.threshold, found.n_heads, found.n_kv_heads) == (0.05, 4, 2)
    assert (found.scores.name, found.scores.trials) == (
        expected.scores.name,
        expected.scores.trials,
    )
    torch.testing.assert_close(
        found.scores.values, expected.scores.values, rtol=0, atol=0, equal_nan=True
    )
    pd.testing.assert_frame_equal(found.to_dataframe(), expected.to_dataframe(), check_exact=True)
    pd.testing.assert_frame_equal(found.events.table, expected.events.table, check_exact=True)
    for one, other in zip(found.trials, expected.trials, strict=True):
        assert one.prompt.sha256 == other.prompt.sha256
        assert one.prompt.tokens.equal(other.prompt.tokens)
        assert (one.text, one.reason, one.recall) == (other.text, other.reason, other.recall)
        assert one.tokens.equal(other.tokens)
    for name in ("teacher-forced", "fed-attention"):
        one, other = (result.score(name).values for result in (found, expected))
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def test_a_result_comes_back_as_it_was(detected, tmp_path):
    save_result(detected, tmp_path / "run", {"model": {"name": "tiny"}})
    assert_same_result(load_result(tmp_path / "run"), detected)
    run = load_run(tmp_path / "run")
    assert (run.status, run.description["model"]["name"]) == ("finished", "tiny")
    assert isinstance(run.trials, tuple)
    assert type(run.trials[0]) is type(detected.trials[0])


def test_the_files_are_those_of_a_run_folder(detected, llama, otter_prompt, tmp_path):
    save_result(detected, tmp_path / "saved")
    choices = {"score": "teacher-forced", "threshold": 0.05}
    with RunFolder(
        tmp_path / "run", llama, [otter_prompt] * 3, save_prompts=True, **choices
    ) as run:
        run.detect(progress=False)
        run.finish()
    for name in SCORES:
        one, other = ((tmp_path / folder / name).read_bytes() for folder in ("saved", "run"))
        assert one == other
    assert {path.split("/")[0] for path in contents(tmp_path / "saved")} == {
        path.split("/")[0] for path in contents(tmp_path / "run")
    }
    record = json.loads((tmp_path / "saved" / "trials.jsonl").read_text().splitlines()[0])
    assert record["text"] == detected.trials[0].text
    assert record["tokens"] == detected.trials[0].tokens.tolist()


def test_some_of_the_prompts_are_saved_under_their_own_numbers(llama, otter_prompt, tmp_path):
    log = MemoryLog([2, 4])
    options = {"score": "teacher-forced", "threshold": 0.05, "progress": False}
    result = detect_retrieval_heads(llama, [otter_prompt] * 5, log=log, **options)
    save_result(result, tmp_path / "run")
    assert [trial.index for trial in load_result(tmp_path / "run").trials] == [2, 4]
    assert_same_result(load_result(tmp_path / "run"), result)


def test_no_detection_goes_on_in_it_and_nothing_is_written_over(
    detected, llama, otter_prompt, tmp_path
):
    save_result(detected, tmp_path / "run")
    before = contents(tmp_path / "run")
    with pytest.raises(FileExistsError, match="Expected a new or empty folder for a result"):
        save_result(detected, tmp_path / "run")
    with pytest.raises(ValueError, match=r"model\.weights_sha256: nothing there, '\w{12}' here"):
        RunFolder(tmp_path / "run", llama, [otter_prompt] * 3).__enter__()
    assert contents(tmp_path / "run") == before
