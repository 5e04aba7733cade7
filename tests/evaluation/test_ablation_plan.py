from types import SimpleNamespace

import pytest
import torch

from rh_lens.evaluation import default_ks, plan_ablation
from rh_lens.heads import Head
from rh_lens.interventions import HeadTraits

RETRIEVAL = [Head(2, 4), Head(2, 5), Head(2, 3), Head(2, 2)]


def model(n_layers=4, n_heads=8, n_kv_heads=4, layers=None):
    """What a plan asks a bridge for: its size, and the layers that have attention."""
    attention = range(n_layers) if layers is None else layers
    return SimpleNamespace(
        cfg=SimpleNamespace(n_layers=n_layers, n_heads=n_heads, n_key_value_heads=n_kv_heads),
        original_model=None,
        hook_dict={},
        blocks_with=lambda name: [(layer, None) for layer in attention],
    )


def ranking(n_layers=4, n_heads=8):
    others = [Head(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    return RETRIEVAL + [head for head in others if head not in RETRIEVAL]


def test_each_k_has_its_top_heads_disjoint_controls_and_drawn_rankings():
    plan = plan_ablation(
        model(), ranking(), ks=[4, 1], n_controls=2, match=None, n_rankings=2, family=None
    )
    assert plan.ks == (0, 1, 4)
    assert [heads.condition for heads in plan.sets] == [
        *["none", "top-1", "control-1-any-0", "control-1-any-1"],
        *["top-4", "control-4-any-0", "control-4-any-1"],
        *["drawn-1-0", "drawn-4-0", "drawn-1-1", "drawn-4-1"],
    ]
    for heads in plan.sets:
        assert len(heads.heads) == heads.k
        if heads.kind == "top":
            assert list(heads.heads) == RETRIEVAL[: heads.k]
        if heads.kind == "control":
            assert not set(heads.heads) & set(RETRIEVAL[: heads.k])
    by_name = plan.heads_of(["drawn"])
    assert set(by_name["drawn-1-0"]) < set(by_name["drawn-4-0"])
    assert plan.of(4, "control") == ["control-4-any-0", "control-4-any-1"]
    assert plan.n_possible == {(1, "any"): 31, (4, "any"): 20475}
    assert plan.n_family == {1: 32, 4: 35960}
    assert plan.notes == {}


def test_equal_sets_are_silenced_once():
    plan = plan_ablation(model(), ranking(), ks=[1, 4], n_controls=4, n_rankings=99)
    # Eight heads of the layer at K = 1: the top one and its seven others.
    assert len({name for name in plan.heads_of(["top", "control", "drawn"]) if "-1" in name}) >= 8
    singles = {heads.condition for heads in plan.sets if heads.k == 1}
    assert len(singles) == 8
    assert "top-1" in plan.of(1, "drawn")
    assert all(len(plan.of(k, "drawn")) == 99 for k in (1, 4))


def test_the_smallest_p_value_is_known_before_the_run():
    plan = plan_ablation(model(), ranking(), ks=[4], n_rankings=1000, n_controls=0)
    assert (plan.n_rankings, plan.n_other_rankings) == (69, 69)
    assert plan.smallest_pvalue == 1 / 70
    half = plan.first_rankings(30)
    assert half.n_rankings == 30
    assert half.smallest_pvalue == 1 / 70
    assert len(half.of(4, "drawn")) == 30


def test_kinds_of_controls_stand_side_by_side_with_their_balance():
    norm = torch.arange(32.0, dtype=torch.float64).reshape(4, 8)
    plan = plan_ablation(
        model(),
        ranking(),
        ks=[2],
        n_controls=3,
        match=["layer", "norm", None],
        traits=HeadTraits(norm, -norm, n_rows=1),
        n_rankings=0,
    )
    assert plan.matches == ("layer", "norm", "any")
    assert [len(plan.of(2, "control", match)) for match in plan.matches] == [3, 3, 3]
    assert plan.n_possible == {(2, "layer"): 15, (2, "norm"): None, (2, "any"): 435}
    assert plan.balance[2, "norm"]["norm"] == 20.5
    assert abs(plan.balance[2, "norm"]["control_norm"] - 20.5) < 5
    assert plan.smallest_pvalue == 1.0


def test_few_controls_are_noted_and_missing_ones_do_not_stop_the_curve():
    plan = plan_ablation(model(), ranking(), ks=[2, 4, 20], exclude=RETRIEVAL)
    assert plan.n_possible == {(2, "layer"): 6, (4, "layer"): 1, (20, "layer"): 0}
    assert plan.notes[2, "layer"] == "only 6 control sets matched by layer of 10 asked for"
    assert plan.notes[4, "layer"] == "only 1 control set matched by layer of 10 asked for"
    missing = plan.notes[20, "layer"]
    assert missing.startswith("no controls. Expected free heads: 8 in layer 0, found 0")
    assert plan.of(20, "top") == ["top-20"]
    assert plan.of(20, "control") == []


def test_whole_layers_leave_nothing_to_exchange():
    whole = [Head(2, head) for head in range(8)]
    plan = plan_ablation(model(), whole, ks=[4, 8], n_controls=0)
    assert plan.n_family == {4: 70, 8: 1}


def test_without_numbers_those_that_the_ranking_has_are_taken():
    options = {"n_controls": 0, "n_rankings": 0}
    assert plan_ablation(model(), ranking(), **options).ks == (0, 1, 2, 5, 10, 20)
    assert plan_ablation(model(), ranking()[:5], **options).ks == (0, 1, 2, 5)
    assert plan_ablation(model(), ranking(), ks=[0]).sets[0].condition == "none"


def test_layers_without_attention_give_no_controls():
    hybrid = model(layers=[1, 3])
    heads = [Head(1, 0), Head(3, 0)]
    plan = plan_ablation(hybrid, heads, ks=[1], n_controls=50, match=None, family=None)
    assert plan.n_possible == {(1, "any"): 15}
    assert plan.n_other_rankings == 15
    assert {head.layer for heads in plan.sets for head in heads.heads} == {1, 3}


def test_the_table_names_every_set():
    plan = plan_ablation(model(), ranking(), ks=[2], n_controls=1, n_rankings=1, exclude=RETRIEVAL)
    table = plan.to_dataframe()
    assert table["condition"].tolist() == ["none", "top-2", "control-2-layer-0", "drawn-2-0"]
    assert table["heads"].tolist()[:2] == ["", "L2H4 L2H5"]
    assert table["draw"].isna().tolist() == [True, True, False, False]
    assert table["match"].fillna("").tolist() == ["", "", "layer", ""]
    assert {Head.parse(label).layer for label in table["heads"][2].split()} == {2}


@pytest.mark.parametrize(
    ("heads", "options", "message"),
    [
        (ranking(), {"ks": [1, 50]}, r"from 0 to 32, the heads of the ranking; found \[50\]"),
        (ranking(), {"ks": [-1]}, r"found \[-1\]"),
        (
            ranking(),
            {"ks": [1], "n_controls": -1},
            "n_controls to be a whole number from 0 to 1000000; found -1",
        ),
        (
            ranking(),
            {"ks": [1], "n_rankings": -1},
            "n_rankings to be a whole number from 0 to 1000000; found -1",
        ),
        (ranking(), {"ks": [1], "match": "norm"}, 'Expected traits for match="norm"'),
        (RETRIEVAL * 2, {"ks": [1]}, "distinct heads; found 8 entries and 4 heads"),
        ([Head(9, 0)], {"ks": [1]}, r"in the layers \[0, 1, 2, 3\], .*; found L9H0"),
    ],
)
def test_what_cannot_be_planned_is_refused(heads, options, message):
    with pytest.raises(ValueError, match=message):
        plan_ablation(model(), heads, **options)


def test_the_numbers_of_heads_end_with_the_retrieval_heads_and_the_model():
    assert default_ks(n_heads=32, n_retrieval=4) == [0, 1, 2, 3, 4, 5, 10, 20]
    assert default_ks(n_heads=1024, n_retrieval=33) == [0, 1, 2, 5, 10, 20, 24, 33, 50]
