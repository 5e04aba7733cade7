import math

import pandas as pd
import pytest
import torch

from rh_lens.evaluation import ablation_curve, classify_errors, error_shares, needle_recall
from rh_lens.evaluation import perplexity as measure_perplexity
from rh_lens.heads import Head
from rh_lens.interventions import scale_heads, zero_ablation
from rh_lens.prompts import build_grid, evaluation_needles, synthetic_haystack
from rh_lens.runtime import Condition

RETRIEVAL = [Head(2, 4), Head(2, 5), Head(2, 3), Head(2, 2)]
RANKING = [*RETRIEVAL, Head(1, 6), Head(2, 1), Head(2, 0)]


@pytest.fixture(scope="module")
def prompts(demo_model):
    """Ten prompts, a needle each."""
    return build_grid(
        demo_model.tokenizer,
        synthetic_haystack(),
        evaluation_needles()[:10],
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
        exclude=RETRIEVAL,
        record=RETRIEVAL,
        progress=False,
    )


def test_four_heads_carry_the_bundled_models_recall_and_their_neighbours_none(curve):
    table = curve.to_dataframe().set_index("k")
    assert table.index.tolist() == [0, 3, 4, 7]
    assert table.loc[0, "top"] > 0.95
    assert table.loc[4, "top"] < 0.1
    assert table.loc[4, "control_lowest"] > 0.8
    assert table.loc[4, ["n_draws", "n_possible"]].tolist() == [1, 1]
    assert table.loc[4, "p_permutation"] == 1 / 2
    assert table.loc[4, "p_mcnemar"] == pytest.approx(1 / 2**10)
    assert table.loc[4, "p_sign"] == pytest.approx(1 / 2**10)


def test_what_does_not_exist_is_missing_and_the_notes_say_why(curve):
    table = curve.to_dataframe().set_index("k")
    for k in (0, 7):
        assert table.loc[k, "n_draws"] == 0
        assert math.isnan(table.loc[k, "control"])
        assert math.isnan(table.loc[k, "p_mcnemar"])
    assert math.isnan(table.loc[0, "p_untouched"])
    assert table.loc[7, "p_untouched"] < 0.01
    assert table["note"].tolist() == [
        "",
        "",
        "only 1 control set matched by layer of 2 asked for",
        "no controls. Expected free heads: 6 in layer 2, found 2. Take match=None, fewer heads or "
        "a shorter exclude.",
    ]


def test_p_values_are_corrected_over_the_ks_that_were_tested(curve):
    table = curve.to_dataframe().set_index("k")
    smallest, largest = sorted(table.loc[[3, 4], "p_mcnemar"])
    assert table.loc[4, "p_mcnemar_holm"] == pytest.approx(2 * smallest)
    assert table.loc[3, "p_mcnemar_holm"] == pytest.approx(max(largest, 2 * smallest))
    assert table["p_mcnemar_holm"].isna().tolist() == [True, False, False, True]


def test_answers_are_those_of_the_conditions_one_by_one(curve, demo_model, prompts):
    controls = [heads for heads in curve.plan.sets if heads.kind == "control"]
    for heads in [curve.plan.sets[1], controls[-1]]:
        alone = needle_recall(
            demo_model, prompts, {"alone": Condition(zero_ablation(heads.heads))}, progress=False
        )
        answers = curve.answers[curve.answers["condition"] == heads.condition]
        assert answers["text"].tolist() == alone.answers["text"].tolist()
        assert set(answers["k"]) == {heads.k}
        assert set(answers["kind"]) == {heads.kind}


def test_tables_of_the_same_conditions_are_labelled_and_averaged(curve, demo_model):
    fluency = measure_perplexity(
        demo_model, synthetic_haystack(seed=2), curve.conditions, window=32, n_windows=2
    )
    by_k = curve.by_k(fluency)
    assert list(zip(by_k["kind"], by_k["k"], strict=True)) == [
        ("none", 0),
        ("top", 3),
        ("top", 4),
        ("top", 7),
        ("control", 3),
        ("control", 4),
    ]
    of_three = fluency["condition"].isin(["control-3-0", "control-3-1"])
    assert by_k["nll"][4] == pytest.approx(fluency.loc[of_three, "nll"].mean())
    assert curve.label(fluency)["condition"].tolist() == fluency["condition"].tolist()


def test_errors_are_counted_by_the_number_of_heads(curve):
    shares = curve.by_k(error_shares(classify_errors(curve.recall), curve.recall))
    by_kind = shares.set_index(["kind", "k"])
    assert by_kind.loc[("none", 0), "retrieved"] == 1.0
    assert by_kind.loc[("top", 4), "retrieved"] == 0.0
    assert by_kind.drop(columns="n").sum(axis=1).tolist() == pytest.approx([1.0] * len(shares))


def test_the_operator_and_the_scope_are_the_callers(demo_model, prompts):
    scaled: list[tuple[Head, ...]] = []

    def keep(heads):
        scaled.append(tuple(heads))
        return scale_heads(heads, 1.0)

    options = {"ks": [4], "n_controls": 1, "exclude": RETRIEVAL, "progress": False}
    same = ablation_curve(
        demo_model, prompts[:3], RANKING, operator=keep, scope="decode", **options
    )
    assert [len(heads) for heads in scaled] == [4, 4]
    assert {condition.scope for condition in same.conditions.values()} == {"decode"}
    texts = same.answers.groupby("condition")["text"].agg(list)
    assert texts["top-4"] == texts["none"] == texts["control-4-0"]
    early = ablation_curve(demo_model, prompts[:3], RANKING, scope="prefill", **options)
    assert early.to_dataframe()["top"].tolist() == [1.0, 1.0]


def test_the_same_seed_gives_the_same_curve(demo_model, prompts):
    options = {"ks": [2], "n_controls": 2, "match": None, "progress": False}
    first, second, other = (
        ablation_curve(demo_model, prompts[:2], RANKING, seed=seed, **options) for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first.to_dataframe(), second.to_dataframe())
    assert first.heads.equals(second.heads)
    assert not first.heads.equals(other.heads)


def test_the_model_is_left_as_it_was(curve, demo_model, prompts):
    tokens = prompts[0].tokens[None]
    before = demo_model(tokens, return_type="logits")
    ablation_curve(demo_model, prompts[:1], RANKING, ks=[1], n_controls=1, progress=False)
    assert torch.equal(demo_model(tokens, return_type="logits"), before)
