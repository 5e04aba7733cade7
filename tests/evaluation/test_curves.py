import math

import pandas as pd
import pytest
import torch

from rh_lens.evaluation import (
    ablation_curve,
    classify_errors,
    error_intervals,
    error_shares,
    needle_recall,
)
from rh_lens.evaluation import perplexity as measure_perplexity
from rh_lens.heads import Head
from rh_lens.interventions import scale_heads, zero_ablation
from rh_lens.prompts import build_grid, evaluation_needles, synthetic_haystack
from rh_lens.runtime import Condition

RETRIEVAL = [Head(2, 4), Head(2, 5), Head(2, 3), Head(2, 2)]
RANKING = [*RETRIEVAL, Head(1, 6), Head(2, 1), Head(2, 0)]


@pytest.fixture(scope="module")
def prompts(demo_model):
    """Eight prompts, a needle each."""
    return build_grid(
        demo_model.tokenizer,
        synthetic_haystack(),
        evaluation_needles()[:8],
        context_lengths=[128],
        depths=[0.5],
    )


@pytest.fixture(scope="module")
def curve(demo_model, prompts):
    return ablation_curve(
        demo_model,
        prompts,
        RANKING,
        ks=[0, 3, 4, 7],
        n_controls=2,
        match=["layer", "norm"],
        n_rankings=2,
        exclude=RETRIEVAL,
        record=RETRIEVAL,
        progress=False,
    )


def test_four_heads_carry_the_bundled_models_recall(curve):
    table = curve.to_dataframe().set_index("k")
    assert table.index.tolist() == [0, 3, 4, 7]
    assert table.loc[0, "top"] > 0.95
    assert table.loc[4, "top"] < 0.1
    # Eight needles: the truth may be a third as well.
    assert 0.3 < table.loc[4, "top_high"] < 0.45
    assert table.loc[4, "change_high"] < -0.4
    assert table.loc[4, "p_untouched"] == pytest.approx(1 / 2**8)
    assert math.isnan(table.loc[0, "p_untouched"])
    assert set(table["n_needles"]) == set(table["n_prompts"]) == {8}


def test_no_drawn_ranking_is_as_harmful(curve):
    table = curve.to_dataframe().set_index("k")
    assert set(table["p_smallest"]) == set(table["p_curve"]) == {1 / 3}
    assert table.loc[4, "p_heads"] == 1 / 3
    assert math.isnan(table.loc[0, "p_heads"])
    assert table["n_sets"].tolist() == [1, 56, 70, 8 * 28]
    assert set(table["n_rankings"]) == {2}


def test_their_neighbours_carry_none_and_loud_heads_some(curve):
    table = curve.controls_to_dataframe().set_index(["k", "match"])
    assert table.index.tolist() == [(k, match) for k in (3, 4, 7) for match in ("layer", "norm")]
    same_layer = table.loc[(4, "layer")]
    assert same_layer["control_lowest"] > 0.8
    assert same_layer[["n_draws", "n_possible"]].tolist() == [1, 1]
    assert same_layer["difference"] < -0.8
    assert same_layer["difference_high"] < -0.4
    # The heads of the layer are nearly silent, those of like norm are not.
    assert same_layer["norm"] == table.loc[(4, "norm"), "norm"] > 14
    assert same_layer["control_norm"] < 3 < 6 < table.loc[(4, "norm"), "control_norm"]
    assert pd.isna(table.loc[(4, "norm"), "n_possible"])
    assert table.loc[(4, "norm"), "n_draws"] == 2


def test_what_does_not_exist_is_missing_and_the_notes_say_why(curve):
    table = curve.controls_to_dataframe().set_index(["match", "k"])
    assert table.loc[("layer", 7), "n_draws"] == 0
    assert math.isnan(table.loc[("layer", 7), "control"])
    assert table.loc["layer"]["note"].tolist() == [
        "",
        "only 1 control set matched by layer of 2 asked for; compared with this one set of heads, "
        "not with others like it",
        "no controls. Expected free heads: 6 in layer 2, found 2. Take match=None, fewer heads or "
        "a shorter exclude.",
    ]


def test_harmless_heads_are_tested_by_few_rankings(demo_model, prompts):
    # One head of eight: seven others. Nothing is lost with any of the first two, nor with it.
    few = ablation_curve(
        demo_model,
        [*prompts[:3], *prompts[:2]],
        [Head(2, 0)],
        ks=[1],
        n_controls=0,
        n_rankings=99,
        progress=False,
    )
    assert (few.plan.n_planned, few.plan.n_rankings) == (7, 2)
    (row,) = few.to_dataframe().query("k == 1").to_dict("records")
    assert row["p_smallest"] == 1 / 8
    assert row["p_curve"] == row["p_heads"] == 1.0
    # Five prompts of three needles: drawn heads answer one prompt of each.
    n_answers = few.recall.answers["condition"].value_counts()
    assert n_answers.to_dict() == {"none": 5, "top-1": 5, "drawn-1-0": 3, "drawn-1-1": 3}


def test_without_rankings_heads_are_not_tested(demo_model, prompts):
    bare = ablation_curve(
        demo_model, prompts[:2], RANKING, ks=[4], n_controls=0, n_rankings=0, progress=False
    )
    table = bare.to_dataframe()
    assert table[["p_heads", "p_curve", "p_smallest"]].isna().all(axis=None)
    assert bare.controls_to_dataframe().empty


def test_answers_are_those_of_the_conditions_one_by_one(curve, demo_model, prompts):
    controls = [heads for heads in curve.plan.sets if heads.kind == "control"]
    drawn = [heads for heads in curve.plan.sets if heads.condition.startswith("drawn")]
    for heads in [curve.plan.sets[1], controls[-1], drawn[-1]]:
        alone = needle_recall(
            demo_model, prompts, {"alone": Condition(zero_ablation(heads.heads))}, progress=False
        )
        answers = curve.answers[curve.answers["condition"] == heads.condition]
        assert answers["text"].tolist() == alone.answers["text"].tolist()
        assert set(answers["k"]) == {heads.k}
        assert set(answers["kind"]) == {heads.kind}


def test_tables_of_the_same_conditions_are_labelled_and_averaged(curve, demo_model):
    fluency = measure_perplexity(
        demo_model, synthetic_haystack(seed=2), curve.compared, window=32, n_windows=2
    )
    by_k = curve.by_k(fluency)
    places = zip(by_k["kind"], by_k["k"], by_k["match"].fillna(""), strict=True)
    assert list(places) == [
        *[("none", 0, ""), ("top", 3, ""), ("top", 4, ""), ("top", 7, "")],
        *[("control", 3, "layer"), ("control", 3, "norm")],
        *[("control", 4, "layer"), ("control", 4, "norm"), ("control", 7, "norm")],
    ]
    of_three = fluency["condition"].isin(["control-3-layer-0", "control-3-layer-1"])
    assert by_k["nll"][4] == pytest.approx(fluency.loc[of_three, "nll"].mean())
    assert curve.label(fluency)["condition"].tolist() == fluency["condition"].tolist()


def test_the_shares_of_errors_have_intervals_over_needles(curve):
    found = error_intervals(classify_errors(curve.recall), curve.recall)
    of_top = found[found["condition"] == "top-4"].set_index("outcome")
    assert of_top.loc["retrieved", ["n", "n_needles", "share", "share_low"]].tolist() == [
        *[8, 8, 0.0, 0.0]
    ]
    assert of_top.loc["retrieved", "share_high"] == pytest.approx(1 - 0.025 ** (1 / 8))
    assert of_top["share"].sum() == pytest.approx(1.0)


def test_errors_are_counted_by_the_number_of_heads(curve):
    shares = curve.by_k(error_shares(classify_errors(curve.recall), curve.recall))
    by_kind = shares.set_index(["kind", "k"])
    assert by_kind.loc[("none", 0), "retrieved"] == 1.0
    assert by_kind.loc[("top", 4), "retrieved"] == 0.0
    assert by_kind.drop(columns=["n", "match"]).sum(axis=1).tolist() == pytest.approx(
        [1.0] * len(shares)
    )


def test_the_operator_and_the_scope_are_the_callers(demo_model, prompts):
    scaled: list[tuple[Head, ...]] = []

    def keep(heads):
        scaled.append(tuple(heads))
        return scale_heads(heads, 1.0)

    options = {"ks": [4], "n_controls": 1, "exclude": RETRIEVAL, "progress": False}
    options |= {"n_rankings": 0}
    same = ablation_curve(
        demo_model, prompts[:3], RANKING, operator=keep, scope="decode", **options
    )
    assert [len(heads) for heads in scaled] == [4, 4]
    assert {condition.scope for condition in same.conditions.values()} == {"decode"}
    texts = same.answers.groupby("condition")["text"].agg(list)
    assert texts["top-4"] == texts["none"] == texts["control-4-layer-0"]
    early = ablation_curve(demo_model, prompts[:3], RANKING, scope="prefill", **options)
    assert early.to_dataframe()["top"].tolist() == [1.0, 1.0]


def test_the_same_seed_gives_the_same_curve(demo_model, prompts):
    options = {"ks": [2], "n_controls": 2, "match": None, "n_rankings": 1, "progress": False}
    first, second, other = (
        ablation_curve(demo_model, prompts[:2], RANKING, seed=seed, **options) for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first.to_dataframe(), second.to_dataframe())
    assert first.heads.equals(second.heads)
    assert not first.heads.equals(other.heads)


def test_the_model_is_left_as_it_was(curve, demo_model, prompts):
    tokens = prompts[0].tokens[None]
    before = demo_model(tokens, return_type="logits")
    ablation_curve(
        demo_model, prompts[:1], RANKING, ks=[1], n_controls=1, n_rankings=0, progress=False
    )
    assert torch.equal(demo_model(tokens, return_type="logits"), before)
