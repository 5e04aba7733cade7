"""Runs made up at random, to be written, disturbed and read back without any model."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from planted import make_prompt

from rh_lens.detection import EVENT_COLUMNS, CopyEvents, DetectionOptions, Trial
from rh_lens.prompts import Needle
from rh_lens.runs import TrialStore, run_key
from rh_lens.runtime import StopRule

N_LAYERS, N_HEADS, N_KV_HEADS = 3, 4, 2
TOKENS = ["an", "otter", " ", "\n", "\u2028", '"', "말", "\x85", "\\"]
SCORES = ("trials.jsonl", "scores.csv", "head_scores.json")


def model_description(**changes):
    """What `describe_model` says of some model."""
    return {
        "name": "made up",
        "architecture": "None",
        "n_layers": N_LAYERS,
        "n_heads": N_HEADS,
        "n_key_value_heads": N_KV_HEADS,
        "dtype": "float32",
        "device": "cpu",
        "config_sha256": "c" * 64,
        "weights_sha256": "a" * 64,
        "tokenizer_sha256": "b" * 64,
    } | changes


def choices(**changes):
    """Some detection's options."""
    values = {"score": "position", "threshold": 0.1, "min_recall": 0.5, "max_new_tokens": 7}
    return DetectionOptions(**{**values, "stop": StopRule(frozenset({1}), ("\n",)), **changes})


class RandomRun:
    """Prompts, trials and events made up at random; every other trial or so is accepted."""

    def __init__(self, n_trials: int, seed: int, *, score: str = "position") -> None:
        self.rng = np.random.default_rng(seed)
        needle = Needle(question="무엇?", text="It is an\u2028otter.", answer="an\u2028otter")
        self.prompts = [
            make_prompt(self.rng.integers(0, 99, 30).tolist(), (8, 12), needle)
            for _ in range(n_trials)
        ]
        self.pairs = {index: self._trial(index) for index in range(n_trials)}
        self.key = run_key(model_description(), self.prompts, choices(score=score))

    def folder(self, path: Path, **options) -> TrialStore:
        return TrialStore(path, self.prompts, copy.deepcopy(self.key), {"command": "x"}, **options)

    def write(self, path: Path, **options):
        """Open the folder, add what is missing, and finish."""
        with self.folder(path, **options) as run:
            for index in run.missing:
                run.start(index)
                run.add(*self.pairs[index])
            return run.finish() if options.get("shard") is None else None

    def _trial(self, index: int) -> tuple[Trial, pd.DataFrame]:
        rng, prompt = self.rng, self.prompts[index]
        steps = torch.from_numpy(rng.integers(0, 99, rng.integers(0, 6)))
        visible = torch.from_numpy(rng.random((N_LAYERS, N_HEADS)) < 0.8)
        mass = torch.from_numpy(rng.random((N_LAYERS, N_HEADS)) ** 9)
        accepted = index == 0 or bool(rng.random() < 0.6)
        trial = Trial(
            index=index,
            prompt=prompt,
            tokens=steps,
            text="".join(rng.choice(TOKENS, 5)),
            stop_reason="newline",
            accepted=accepted,
            reason="accepted" if accepted else "made up",
            recall=float(rng.random()),
            recall_measure="rouge1",
            visible=visible,
            attention_mass=mass.where(visible, torch.nan),
            recorded_scores={
                "teacher-forced": mass.where(visible, torch.nan),
                "fed-attention": mass.sqrt().where(visible, torch.nan),
            },
            n_ties=int(rng.integers(0, 3)),
        )
        return trial, self._events(index, len(steps))

    def _events(self, trial: int, n_steps: int) -> pd.DataFrame:
        rng, n_events = self.rng, int(self.rng.integers(0, 8)) if n_steps else 0
        offset = rng.integers(0, 4, n_events)
        columns = {
            "trial": [trial] * n_events,
            "step": rng.integers(0, max(n_steps, 1), n_events),
            "layer": rng.integers(0, N_LAYERS, n_events),
            "head": rng.integers(0, N_HEADS, n_events),
            "source": 8 + offset,
            "answer_offset": offset,
            "token_id": self.prompts[trial].answer_tokens[torch.from_numpy(offset)].numpy(),
            "token": rng.choice(TOKENS, n_events),
        }
        weights = EVENT_COLUMNS[len(columns) :]
        columns |= {name: rng.random(n_events, dtype=np.float32) for name in weights}
        return pd.DataFrame(columns).astype(CopyEvents.join([]).table.dtypes.to_dict())


def entries(folder: Path) -> dict[str, bytes]:
    """Files of a run's log by name, but for what says what the run is."""
    files = (folder / "log").iterdir()
    return {file.name: file.read_bytes() for file in files if file.name[0].isdecimal()}


def entry(folder: Path, number: int) -> Path:
    """The file of one entry of a run's log."""
    (path,) = (folder / "log").glob(f"{number:06d}-*")
    return path


def beginning(folder: Path) -> Path:
    """The file that says what the run is."""
    (path,) = (folder / "log").glob("begin-*")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, but for the lock."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def assert_same_run(found: Path, expected: Path) -> None:
    """The same log and scores to the last byte, and the same events."""
    assert entries(found) == entries(expected)
    for name in SCORES:
        assert (found / name).read_bytes() == (expected / name).read_bytes(), name
    one, other = (pd.read_parquet(folder / "events.parquet") for folder in (found, expected))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
