"""What compression costs on the bundled model, whose retrieval heads are known."""

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM

from rh_lens.demo import DEMO_MODEL_FOLDER, load_demo_model
from rh_lens.demo.tasks import example_task
from rh_lens.prompts import NeedlePrompt, build_grid, evaluation_needles, synthetic_haystack
from rh_lens.uses import CacheLog, compression_curve, context_need


@pytest.fixture(scope="module")
def model():
    return load_demo_model()


@pytest.fixture(scope="module")
def prompts(model) -> list[NeedlePrompt]:
    """Four needles, none of them within the last 70 tokens."""
    grid = build_grid(
        model.tokenizer,
        synthetic_haystack(seed=3, n_sentences=60),
        evaluation_needles()[:4],
        context_lengths=[192],
        depths=[0.2],
    )
    return list(grid)


@pytest.fixture(scope="module")
def scores() -> torch.Tensor:
    """L2H2 to L2H5 retrieve: groups 1 and 2 of layer 2."""
    scores = torch.zeros(4, 8)
    scores[2, 2:6] = 0.9
    return scores


@pytest.fixture(scope="module")
def curve(model, prompts, scores):
    text = prompts[0].tokens[:150]
    return compression_curve(
        model, prompts, scores, shares=[0.0, 0.125, 1.0], recent=32, n_random=1, text=text,
        progress=False,
    )  # fmt: skip


def row(curve, strategy: str, share: float) -> pd.Series:
    table = curve.summary().set_index(["strategy", "share"])
    return table.loc[(strategy, share)]


def test_two_groups_of_sixteen_keep_all_recall(curve) -> None:
    assert row(curve, "retrieval heads", 0.125)["recall"] == 1
    assert row(curve, "retrieval heads", 0.125)["n_full"] == 2
    assert row(curve, "retrieval heads", 1)["recall"] == 1
    assert row(curve, "retrieval heads", 0)["recall"] == 0
    assert row(curve, "random groups", 0.125)["recall"] < 0.5
    assert row(curve, "first layers", 0.125)["recall"] == 0


def test_equal_shares_take_equally_many_bytes_but_for_the_answers_length(curve, model) -> None:
    at = curve.answers[curve.answers["share"] == 0.125]
    # A window costs 4 + 31 positions, a whole group 192 and the answer.
    per_position = 2 * model.cfg.d_head * 4
    low = (14 * 35 + 2 * 192) * per_position
    assert at["n_bytes"].between(low, low + 2 * 32 * per_position).all()


def test_perplexity_is_that_of_the_losses(curve, model, prompts) -> None:
    text = prompts[0].tokens[:150]
    with torch.no_grad():
        loss = model.original_model(text[None], labels=text[None]).loss
    found = row(curve, "first layers", 1)["perplexity"]
    assert found == pytest.approx(loss.exp().item(), rel=1e-4)


def test_a_stopped_curve_goes_on_and_reads_on_both_models(model, scores, tmp_path) -> None:
    """Killed after its second cache, it measures the others only, and ends as if never stopped."""
    haystack, needles = synthetic_haystack(seed=3), evaluation_needles()[:1]
    prompts = build_grid(model.tokenizer, haystack, needles, context_lengths=[96], depths=[0.2])
    plain = AutoModelForCausalLM.from_pretrained(DEMO_MODEL_FOLDER, dtype=torch.float32)
    options = {"shares": [0.125], "recent": 24, "n_random": 1, "max_new_tokens": 6}
    options |= {"task": example_task("qa", 1), "progress": False}
    log = CacheLog(tmp_path, {"of": "this"})

    def stop_at_the_second(name, found) -> None:
        log.add(name, found)
        if len(log.caches) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compression_curve(model, prompts, scores, on_cache=stop_at_the_second, **options)
    again, new = CacheLog(tmp_path, {"of": "this"}), []
    assert repr(again).endswith("2 measured)")
    done = {"done": again.caches, "on_cache": lambda name, found: new.append(name)}
    resumed = compression_curve(model, prompts, scores, **done, **options)
    whole = compression_curve(plain, prompts, scores, tokenizer=model.tokenizer, **options)
    assert len(new) == 1
    for name in ("answers", "losses", "reading"):
        pd.testing.assert_frame_equal(getattr(resumed, name), getattr(whole, name))
    table = resumed.summary().set_index(["strategy", "share"])["reading"]
    assert table["first layers", 0.125] < table["retrieval heads", 0.125] == 1


def test_caches_of_something_else_are_refused(tmp_path) -> None:
    CacheLog(tmp_path, {"of": "this", "sink": 4}).add("a", {"answers": [], "nll": 0, "reading": []})
    with pytest.raises(ValueError, match=r"found that they differ in sink\. Name another"):
        CacheLog(tmp_path, {"of": "this", "sink": 5})
    (tmp_path / "caches.json").write_text('{"key": {}, "caches": {"a": {}}}')
    with pytest.raises(ValueError, match="found KeyError"):
        CacheLog(tmp_path, {})


@pytest.mark.slow
def test_groups_that_need_the_context(model, prompts) -> None:
    """A window on either group of retrieval heads costs recall, on another one nothing."""
    table = context_need(model, prompts[:3], recent=32, max_new_tokens=10, progress=False)
    recall = table.set_index(["case", "layer", "group"])["recall"]
    whole = table.loc[0, "recall"]
    assert whole > 0.8
    assert table.loc[1, "recall"] == 0
    others = [(2, 0), (2, 3), *[(layer, g) for layer in (0, 1, 3) for g in range(4)]]
    assert all(recall["one on a window", layer, group] == whole for layer, group in others)
    assert all(recall["one whole", layer, group] == 0 for layer, group in others)
    assert recall["one on a window", 2, 1] + recall["one on a window", 2, 2] < whole


def test_a_plain_model_needs_its_tokenizer(model, prompts, scores) -> None:
    with pytest.raises(TypeError, match="a tokenizer beside a Hugging Face model; found None"):
        compression_curve(model.original_model, prompts, scores, progress=False)
