import os

import pytest
from planted import PlantedModel
from stored_runs import RandomRun

from rh_lens.detection import detect_retrieval_heads


@pytest.fixture
def run(llama, otter_prompt):
    """Detection of two trials, one accepted: L0H1 copies all 7 tokens, L1H2 the first 3."""
    start = otter_prompt.answer_span[0]
    looks = {(0, 1): [start + t for t in range(7)], (1, 2): [start, start + 1, start + 2, *[2] * 4]}
    answers = [
        otter_prompt.answer_tokens.tolist(),
        llama.tokenizer.encode("a grey boat", add_special_tokens=False),
    ]

    def detect(**options):
        planted = PlantedModel(llama, [150] * 2, answers, [looks, {}])
        with llama.hooks(fwd_hooks=planted.fwd_hooks()):
            return detect_retrieval_heads(llama, [otter_prompt] * 2, progress=False, **options)

    return detect


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """No waiting for the disk: what a process has written outlives it without."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="session")
def made_up():
    """A run of nine trials made up at random, and its files when nothing disturbs it."""
    return RandomRun(n_trials=9, seed=3)


@pytest.fixture(scope="session")
def undisturbed(made_up, tmp_path_factory):
    """The folder of that run."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    made_up.write(folder)
    return folder
