"""Heads over the revisions of a model."""

import json
import math
import warnings
import weakref

import pytest
import torch
from transformers import LlamaForCausalLM

from rh_lens.demo import DEMO_MODEL_FOLDER, load_demo_model
from rh_lens.prompts import build_grid, default_needles, synthetic_haystack
from rh_lens.runs import revisions, score_moment, score_revisions
from rh_lens.runs.moments import moment_of, moment_record, named_moment
from rh_lens.runtime import load_model


@pytest.fixture(scope="module")
def prompts():
    tokenizer = load_demo_model().tokenizer
    needles = default_needles()[:2]
    return build_grid(
        tokenizer, synthetic_haystack(), needles, context_lengths=[128], depths=[0.5],
        n_distractors=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Folders that stand for revisions: a model whose attention has learnt more and more."""
    folder = tmp_path_factory.mktemp("hub")
    for revision, share in {"step0": 0.0, "step100": 0.5, "step1000-tokens4M": 1.0}.items():
        model = LlamaForCausalLM.from_pretrained(DEMO_MODEL_FOLDER, dtype=torch.float32)
        with torch.no_grad():
            for layer in model.model.layers:
                layer.self_attn.q_proj.weight *= share
        model.save_pretrained(folder / revision)
        load_demo_model().tokenizer.save_pretrained(folder / revision)
    return folder


@pytest.fixture
def loaded(hub, monkeypatch):
    """Revisions in the order in which they are loaded; each model has to be gone by the next."""
    names, alive = [], []

    def load(name, *, revision, **options):
        assert [one() for one in alive if one() is not None] == []
        names.append(revision)
        model = load_model(hub / revision, **options)
        alive.append(weakref.ref(model.original_model))
        return model

    monkeypatch.setattr(revisions, "load_model", load)
    return names


SHORT = {"max_new_tokens": 20, "progress": False}
STEPS = ["step0", "step100", "step1000-tokens4M"]


def test_each_revision_is_scored_once_and_kept(loaded, prompts, tmp_path):
    choices = {"folder": tmp_path, "tokens_per_step": 4_000, **SHORT}
    first = score_revisions("some/model", STEPS[:2], prompts, **choices)
    assert loaded == STEPS[:2]
    whole = score_revisions("some/model", STEPS, prompts, **choices)
    assert loaded == STEPS
    table = whole.moment_table()
    assert table["step"].tolist() == [0, 100, 1000]
    assert table["tokens"].tolist() == [0, 400_000, 4_000_000]
    assert whole.to_dataframe()[:64].equals(first.to_dataframe())
    assert table["recall"].iloc[-1] == 1.0
    assert table["recall"].iloc[0] < 0.5
    # Without an accepted trial there is no position score; the fed answer is copied by nobody.
    assert whole.moments[0].score.isnan().all()
    assert whole.moments[0].forced.max() < 0.2
    assert {head.label for head in whole.top(4)} == {"L2H2", "L2H3", "L2H4", "L2H5"}
    last = score_moment(load_demo_model(), prompts, name="last", max_new_tokens=20)
    assert torch.equal(whole.moments[-1].score, last.score)
    assert torch.equal(whole.moments[-1].induction, last.induction)


def test_a_revision_that_fails_is_said_and_takes_no_other_with_it(loaded, prompts, tmp_path):
    names = ["step999", STEPS[2]]
    with pytest.warns(UserWarning, match="at revision 'step999'; found FileNotFoundError"):
        found = score_revisions("m", names, prompts, folder=tmp_path, **SHORT)
    assert [moment.name for moment in found.moments] == [STEPS[2]]
    assert list(found.failed) == ["step999"]
    # It is tried again, and what was scored is not.
    with pytest.warns(UserWarning, match="step999"):
        score_revisions("m", names, prompts, folder=tmp_path, **SHORT)
    assert loaded == ["step999", STEPS[2], "step999"]
    with (
        pytest.warns(UserWarning, match="step999"),
        pytest.raises(ValueError, match=r"found none of 1\. The first: FileNotFoundError"),
    ):
        score_revisions("m", names[:1], prompts, **SHORT)


@pytest.mark.slow
def test_a_folder_of_another_sweep_or_of_damaged_files_is_refused(loaded, prompts, tmp_path):
    choices = {"folder": tmp_path, **SHORT}
    score_revisions("m", STEPS[2:], prompts[:1], **choices)
    with pytest.raises(ValueError, match="prompts_sha256"):
        score_revisions("m", STEPS, prompts, **choices)
    with pytest.raises(ValueError, match="model: 'm' there, 'other' here"):
        score_revisions("other", STEPS, prompts[:1], **choices)
    (kept,) = tmp_path.glob("revision-*.json")
    kept.write_text(json.dumps({"moment": "x"}))
    with pytest.raises(ValueError, match=r"damaged file.*KeyError"):
        score_revisions("m", STEPS[2:], prompts[:1], **choices)


def test_prompts_of_another_tokenizer_are_refused(loaded, tiny_tokenizer, otter_prompt):
    with (
        pytest.warns(UserWarning, match="made with another"),
        pytest.raises(ValueError, match="found none of 1"),
    ):
        score_revisions("m", STEPS[:1], [otter_prompt], **SHORT)


def test_a_revision_reaches_the_loader(prompts):
    """Through `load_model` itself: a folder has no revisions and is read whatever they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = score_revisions(DEMO_MODEL_FOLDER, ["main"], prompts[:1], **SHORT)
    assert found.moments[0].recall == 1.0
    assert math.isnan(found.moments[0].step)


def test_names_tell_steps_and_tokens():
    assert named_moment("step3000", 2_097_152) == (3000, 3000 * 2_097_152)
    assert named_moment("stage1-step1000-tokens5B", 7) == (1000, 5e9)
    assert named_moment("step10-tokens2.5M") == (10, 2.5e6)
    assert named_moment("step10")[0] == 10
    assert all(map(math.isnan, (named_moment("step10")[1], *named_moment("main", 5))))


def test_a_moment_comes_back_from_json(prompts, llama, otter_prompt):
    moment = score_moment(llama, [otter_prompt], name="x", tokens=5, max_new_tokens=4)
    again = moment_of(json.loads(json.dumps(moment_record(moment), allow_nan=False)))
    assert moment.n_accepted == 0
    assert torch.equal(again.forced, moment.forced)
    assert again.score.isnan().all()
    assert again.tokens == 5.0
    assert math.isnan(again.step)
