"""A detection that stops when enough is known says what is known, and about what."""

import json
from collections import Counter

import pytest
import torch
from planted import make_prompt

from rh_lens.detection import MemoryLog, Until, detect_retrieval_heads
from rh_lens.detection.until import Stopping, _units, as_until
from rh_lens.prompts import Needle
from rh_lens.runs import RunFolder, Shard, load_run

OPTIONS = {"score": "teacher-forced", "max_new_tokens": 3, "progress": False}


def prompts(n_needles, n_cells, n_tokens=24):
    generator = torch.Generator().manual_seed(1)
    made = []
    for needle in range(n_needles):
        name = Needle(f"What is {needle}?", f"It is {needle}.", f"{needle}")
        for _ in range(n_cells):
            tokens = torch.randint(2, 300, (n_tokens,), generator=generator).tolist()
            made.append(make_prompt(tokens, (4, 7), name))
    return made


def test_a_round_asks_each_needle_once_and_rounds_come_in_random_order():
    unit, rounds = _units(prompts(3, 5), seed=0)
    assert unit == "round"
    assert len(rounds) == 5
    for indices in rounds:
        assert sorted(index // 5 for index in indices) == [0, 1, 2]
    assert sorted(index for one in rounds for index in one) == list(range(15))
    assert rounds != _units(prompts(3, 5), seed=1)[1]


def test_many_needles_come_one_by_one_with_all_their_prompts():
    unit, needles = _units(prompts(5, 2), seed=0)
    assert unit == "needle"
    assert sorted(needles) == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert needles != sorted(needles)


def test_the_statement_is_about_these_needles_and_the_whole_list(llama):
    """Random weights copy nothing: that all scores are below 0.5 is known before 30 rounds."""
    log = MemoryLog(range(60))
    asked = prompts(2, 30, n_tokens=12)
    result = detect_retrieval_heads(llama, asked, until="stable", log=log, threshold=0.5, **OPTIONS)
    statement = result.statement
    assert statement is not None
    assert statement.holds
    assert statement.unit == "round"
    assert statement.n_answered == len(result.trials) == 2 * statement.n_units < 60
    assert f"after {statement.n_answered} of 60 prompts" in statement.text
    assert "what all 60 prompts about these 2 needles would say" in statement.text
    counts = Counter(trial.prompt.needle.name for trial in result.trials)
    assert set(counts.values()) == {statement.n_units}
    again = detect_retrieval_heads(llama, asked, until="stable", log=log, threshold=0.5, **OPTIONS)
    assert torch.equal(again.scores.values, result.scores.values)
    assert len(again.trials) == statement.n_answered


def test_what_is_undecided_when_the_prompts_end_is_named(llama):
    result = detect_retrieval_heads(
        llama, prompts(4, 2), until=Until("scores", within=0.05), **OPTIONS
    )
    statement = result.statement
    assert statement is not None
    assert statement.unit == "needle"
    assert not statement.holds
    assert statement.n_answered == 8
    assert statement.text.startswith("Not known after 8 of 8 prompts: every head's score to +-0.05")
    assert "needles such as these, of which 4 came" in statement.text
    assert statement.record()["undecided"][0] == "L0H0"


def test_the_top_is_known_when_no_other_head_can_be_better(llama):
    stopping = Stopping(Until("top", k=1), prompts(2, 30), "position", 0.1, (1, 3))
    totals = torch.tensor([1.9, 0.1, 0.0])
    for _ in range(30):
        stopping._sequence.add(totals, torch.full((3,), 2.0))
        if stopping._state().holds:
            break
    assert 3 < stopping._sequence.n_seen < 25
    assert float(stopping._state().low[0, 0]) >= float(stopping._state().high[0, 1:].max())


def test_a_run_folder_keeps_what_was_known_and_goes_on_without_until(llama, tmp_path):
    asked = prompts(1, 30, n_tokens=12)
    options = {"score": "teacher-forced", "max_new_tokens": 3, "threshold": 0.5}
    with RunFolder(tmp_path / "run", llama, asked, **options) as run:
        run.detect(progress=False, until="stable")
        result = run.finish()
    assert result.statement is not None
    assert result.statement.holds
    description = json.loads((tmp_path / "run" / "run.json").read_text())
    assert description["status"] == "finished"
    assert description["stopped_early"]["n_answered"] == len(result.trials) < 30
    assert len(load_run(tmp_path / "run").trials) == len(result.trials)
    with RunFolder(tmp_path / "run", llama, asked, **options) as run:
        run.detect(progress=False)
        assert len(run.finish().trials) == 30
    assert len((tmp_path / "run" / "trials.jsonl").read_text().splitlines()) == 30


def test_refusals(llama, tmp_path):
    with pytest.raises(ValueError, match=r"Expected a score in \[0, 1\] to stop early by"):
        detect_retrieval_heads(llama, prompts(1, 2), until="stable", score="event")
    with pytest.raises(ValueError, match="until"):
        as_until("stabel")
    folder = RunFolder(tmp_path, llama, prompts(1, 2), shard=Shard(1, 2))
    with pytest.raises(ValueError, match="Expected a whole run to stop early; found shard 1/2"):
        folder.detect(until="stable")
    with pytest.raises(TypeError, match='Expected until as "stable" or an Until; found int'):
        as_until(3)
