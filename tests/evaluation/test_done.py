"""Answers that are there already are not asked for again, and the result is as if undisturbed."""

import pickle
import random

import pandas as pd
import pytest
import torch

from rh_lens.evaluation import (
    AblationPlan,
    HeadSet,
    KeptAnswer,
    ablation_curve,
    answer_plan,
    classify_errors,
    needle_recall,
    plan_ablation,
)
from rh_lens.heads import Head
from rh_lens.interventions import (
    mean_ablation,
    mean_head_outputs,
    scale_heads,
    uniform_attention,
    zero_ablation,
)
from rh_lens.runtime import Condition, Generation, StopRule

STEPS, LAYER = 6, [Head(1, head) for head in range(4)]
HEADS = [Head(1, 1), Head(2, 3)]
CONDITIONS = {
    "both": Condition(zero_ablation(LAYER)),
    "plain": Condition(),
    "decode": Condition(zero_ablation(LAYER), "decode"),
    "one head": Condition(zero_ablation(LAYER[:1]), "decode"),
    "prefill": Condition(zero_ablation(LAYER), "prefill"),
}
N_PROMPTS = 4


def ask(model, prompts, conditions=CONDITIONS, **options):
    options = {"heads": HEADS, "max_new_tokens": STEPS, "stop": StopRule(frozenset())} | options
    return needle_recall(model, prompts, conditions, progress=False, **options)


def assert_same(found, expected):
    """To the last bit."""
    pd.testing.assert_frame_equal(found.answers, expected.answers, check_exact=True)
    pd.testing.assert_frame_equal(found.activity, expected.activity, check_exact=True)
    assert list(found.tokens) == list(expected.tokens)
    for key, tokens in expected.tokens.items():
        assert torch.equal(found.tokens[key], tokens)


@pytest.fixture(scope="module")
def reported():
    """What `on_answers` was called with, in one undisturbed call."""
    return []


@pytest.fixture(scope="module")
def undisturbed(llama, prompts, reported):
    return ask(llama, prompts[:N_PROMPTS], on_answers=reported.append)


def test_every_answer_is_reported_once_with_those_of_its_passes(undisturbed, reported):
    """Three conditions act on decoding or not at all, and share their passes; two do not."""
    assert [len(answers) for answers in reported] == [3] * 4 + [1] * 2 * 4
    keys = [key for answers in reported for key in answers]
    assert sorted(keys) == sorted(undisturbed.tokens)
    together = [{name for name, _ in answers} for answers in reported[:4]]
    assert together == [{"plain", "decode", "one head"}] * 4
    assert undisturbed.kept.keys() == undisturbed.tokens.keys()


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))]
)
def test_what_is_answered_in_two_sittings_is_answered_alike(
    llama, prompts, undisturbed, reported, seed
):
    """Interrupted at any place: the same to the last bit, and nothing is answered twice."""
    n_before = random.Random(seed).randrange(len(reported) + 1)
    done = {key: answer for answers in reported[:n_before] for key, answer in answers.items()}
    new = []
    result = ask(llama, prompts[:N_PROMPTS], done=done, on_answers=new.append)
    assert_same(result, undisturbed)
    assert {key for answers in new for key in answers} == undisturbed.tokens.keys() - done.keys()


def test_what_is_done_needs_no_model(llama, prompts, undisturbed):
    def refuse(embedding, hook):
        raise AssertionError("the model was run")

    with llama.hooks(fwd_hooks=[("hook_embed", refuse)]):
        again = ask(llama, prompts[:N_PROMPTS], done=undisturbed.kept)
    assert_same(again, undisturbed)


def test_answers_to_something_else_are_refused(llama, prompts, undisturbed):
    kept = undisturbed.kept
    with pytest.raises(ValueError, match="found one of condition 'both' and prompt 0 with that of"):
        ask(llama, prompts[:N_PROMPTS], heads=HEADS[:1], done=kept)
    with pytest.raises(ValueError, match=r"these 5 conditions and 1 prompts.* prompt 1 with"):
        ask(llama, prompts[:1], done=kept)
    with pytest.raises(ValueError, match="found one of condition 'both'"):
        ask(llama, prompts[:N_PROMPTS], {"plain": Condition()}, done=kept)


RANKING = [Head(2, 4), Head(2, 5), Head(2, 3), Head(2, 2)]


def sets(*heads):
    return AblationPlan(
        tuple(
            HeadSet(f"set-{i}", len(one), "top" if one else "none", None, None, tuple(one))
            for i, one in enumerate(heads)
        ),
        {},
        {},
    )


def test_a_curve_grows_without_asking_anything_twice(demo_model, prompts_of_two):
    """The second plan names the same sets in another way, and has one more."""
    small = sets((), RANKING[:2], RANKING[2:])
    large = sets((), RANKING[2:][::-1], RANKING[:2], RANKING)
    asked = []
    options = {"record": RANKING[:1], "scope": "decode", "progress": False}
    first = answer_plan(demo_model, prompts_of_two, small, on_answers=asked.append, **options)
    assert len(asked) == 2  # one call a prompt, with all three conditions
    more = []
    grown = answer_plan(
        demo_model, prompts_of_two, large, done=first.kept, on_answers=more.append, **options
    )
    assert {heads for answers in more for heads, _ in answers} == {tuple(sorted(RANKING))}
    whole = answer_plan(demo_model, prompts_of_two, large, **options)
    assert grown.answers["text"].tolist() == whole.answers["text"].tolist()
    assert grown.answers["condition"].tolist() == whole.answers["condition"].tolist()
    before, after = (curve.answers.set_index("condition") for curve in (first, grown))
    assert before.loc["set-1", "text"].tolist() == after.loc["set-2", "text"].tolist()


@pytest.fixture(scope="module")
def prompts_of_two(demo_model):
    from rh_lens.prompts import build_grid, evaluation_needles, synthetic_haystack

    return build_grid(
        demo_model.tokenizer,
        synthetic_haystack(),
        evaluation_needles()[:2],
        context_lengths=[128],
        depths=[0.5],
    )


def test_a_curve_is_a_plan_answered(demo_model, prompts_of_two):
    options = {"ks": [2], "n_controls": 1}
    plan = plan_ablation(demo_model, RANKING, **options)
    answered = answer_plan(demo_model, prompts_of_two, plan, progress=False)
    curve = ablation_curve(demo_model, prompts_of_two, RANKING, progress=False, **options)
    pd.testing.assert_frame_equal(answered.answers, curve.answers, check_exact=True)


@pytest.mark.parametrize(
    "operator",
    [
        "mean",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("zero", "scale", "uniform")),
    ],
)
def test_a_curve_comes_back_from_a_pickle_with_its_hooks(demo_model, prompts_of_two, operator):
    means = mean_head_outputs(demo_model, prompts_of_two[:1])
    make = {
        "zero": None,
        "scale": lambda heads: scale_heads(heads, 0.5),
        "uniform": lambda heads: uniform_attention(demo_model, heads),
        "mean": lambda heads: mean_ablation(heads, means),
    }[operator]
    curve = ablation_curve(
        demo_model,
        prompts_of_two,
        RANKING,
        ks=[4],
        n_controls=0,
        n_rankings=1,
        operator=make,
        record=RANKING[:2],
        progress=False,
    )
    loaded = pickle.loads(pickle.dumps(curve))
    pd.testing.assert_frame_equal(loaded.to_dataframe(), curve.to_dataframe())
    pd.testing.assert_frame_equal(classify_errors(loaded.recall), classify_errors(curve.recall))
    again = needle_recall(demo_model, prompts_of_two, loaded.conditions, progress=False)
    assert again.answers["text"].tolist() == curve.answers["text"].tolist()


def test_kept_answers_show_themselves_in_a_line():
    assert len(repr(KeptAnswer(Generation(torch.arange(9), "x" * 999, "eos")))) < 200
