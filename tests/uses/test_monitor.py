"""Features of an answer, what ranks wrong answers first, and a warning while one is said."""

import numpy as np
import pandas as pd
import pytest
import torch

from rh_lens.demo import load_demo_model
from rh_lens.prompts import evaluation_needles, synthetic_haystack
from rh_lens.uses import (
    AnswerWatch,
    answer_features,
    ask_document,
    citation_cases,
    fit_monitor,
    monitor_quality,
    monitored_answers,
)
from rh_lens.uses.risk import auroc

HEADS = ["L2H2", "L2H4"]
DOCUMENT = "It rained. The Orrin sisters call the cat Baron Turnip. Nobody came."
CAT = "What do the Orrin sisters call the cat?"


@pytest.fixture(scope="module")
def model():
    return load_demo_model()


@pytest.fixture(scope="module")
def asked(model):
    return ask_document(model.tokenizer, DOCUMENT, CAT)


@torch.no_grad()
def test_features_are_those_of_one_whole_pass(model, asked) -> None:
    said = model.tokenizer(" Baron Turnip", add_special_tokens=False, return_tensors="pt")
    said = said.input_ids[0]
    found = answer_features(model, asked, said, HEADS)
    kept = []
    hook = ("blocks.2.attn.hook_pattern", lambda pattern, hook: kept.append(pattern[0]))
    tokens = torch.cat([asked.prompt.tokens, said])
    with model.hooks(fwd_hooks=[hook]):
        logits = model(tokens[None])[0]
    first = len(asked.prompt.tokens) - 1
    rows = kept[0][[2, 4], first : first + len(said)].double()
    on_document = rows[..., slice(*asked.span)].sum(dim=-1).mean(dim=0)
    entropy = torch.special.entr(rows).sum(dim=-1).mean(dim=0)
    p = logits[first : first + len(said)].double().softmax(dim=-1)
    expected = {
        "context_mass": on_document,
        "sink_mass": rows[..., 0].mean(dim=0),
        "attention_entropy": entropy,
        "probability": p[torch.arange(len(said)), said],
        "prediction_entropy": torch.special.entr(p).sum(dim=-1),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values.numpy(), atol=2e-4, err_msg=name)
    assert found["copies"].max() == 1


def test_auroc_is_the_share_of_pairs_and_ties_are_half() -> None:
    wrong = np.array([True, True, False, False])
    assert auroc(np.array([3.0, 1.0, 2.0, 0.0]), wrong) == 3 / 4
    assert auroc(np.array([1.0, 1.0, 1.0, 1.0]), wrong) == 0.5


def planted(n_needles: int, seed: int) -> pd.DataFrame:
    """Wrong answers have a feature that is larger by 3 standard deviations, and one of noise."""
    draw = np.random.default_rng(seed)
    wrong = np.tile([True, False] * 4, n_needles)
    needles = np.repeat([f"n{i}" for i in range(n_needles)], 8)
    signal = draw.normal(size=len(wrong)) - 3 * wrong
    return pd.DataFrame(
        {
            "wrong": wrong,
            "needle": needles,
            "copies": signal,
            "probability": draw.random(len(wrong)),
        }
    )


def test_a_monitor_of_other_needles_ranks_wrong_answers_first() -> None:
    monitor = fit_monitor(planted(10, 0), features=["copies", "probability"])
    table = monitor_quality(monitor, planted(10, 1)).set_index("way")["auroc"]
    # Two normal numbers 3 standard deviations apart: P(x > y) = Phi(3 / sqrt(2)) = 0.983.
    assert table["monitor"] == pytest.approx(0.983, abs=0.03)
    assert 0.3 < table["probability"] < 0.7
    assert monitor.weights[0] < 0


def test_the_fit_is_where_its_gradient_is_0() -> None:
    answers = planted(6, 3)
    monitor = fit_monitor(answers, features=["copies"], penalty=2.0)
    x = (answers["copies"] - monitor.centre[0]) / monitor.scale[0]
    error = monitor.risk(answers) - answers["wrong"]
    assert error.sum() == pytest.approx(0, abs=1e-3)
    assert (error * x).sum() + 2.0 * monitor.weights[0] == pytest.approx(0, abs=1e-3)


def test_without_wrong_answers_there_is_nothing_to_learn() -> None:
    answers = planted(2, 0).assign(wrong=False)
    with pytest.raises(ValueError, match="some are right and some wrong; found 0 wrong of 16"):
        fit_monitor(answers, features=["copies"])
    monitor = fit_monitor(planted(2, 0), features=["copies"])
    with pytest.raises(ValueError, match="some are right and some wrong; found none"):
        monitor_quality(monitor, answers)


def watched(model, asked, heads, **options):
    """What is said, and the warnings."""
    warnings: list[tuple[int, float]] = []
    watch = AnswerWatch(
        model, asked, heads, on_warning=lambda *found: warnings.append(found), **options
    )
    prompt = asked.prompt.tokens[None]
    with model.hooks(fwd_hooks=watch.fwd_hooks()):
        said = model.original_model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            stopping_criteria=[watch],
            max_new_tokens=6,
            do_sample=False,
        )
    return said[0, prompt.shape[1] :].tolist(), warnings


def test_a_copied_answer_gets_no_warning_and_one_that_the_heads_did_not_copy_does(
    model, asked
) -> None:
    """The answer has six tokens with letters; heads that retrieve nothing copied none of them."""
    said, warnings = watched(model, asked, HEADS)
    assert model.tokenizer.decode(said) == " Baron Turnip"
    assert warnings == []
    same, warnings = watched(model, asked, ["L0H0", "L3H1"])
    assert same == said
    assert warnings == [(3, 0.0)]
    short, warnings = watched(model, asked, ["L0H0", "L3H1"], stop=True, patience=2)
    assert short == said[:2]
    assert warnings == [(2, 0.0)]


@pytest.mark.slow
def test_the_bundled_models_wrong_answers_have_few_copies(model) -> None:
    cases = citation_cases(
        synthetic_haystack(seed=3, n_sentences=60), evaluation_needles()[:3], n_characters=300
    )
    kept = [case for case in cases if case.kind in ("plain", "unanswerable")]
    answers = monitored_answers(model, kept, HEADS, progress=False)
    right, wrong = (answers[answers["wrong"] == one]["copies"] for one in (False, True))
    assert right.min() > 0.6
    assert wrong.mean() < 0.4
