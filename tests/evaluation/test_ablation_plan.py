from types import SimpleNamespace

import pytest

from rh_lens.evaluation import plan_ablation
from rh_lens.heads import Head

RETRIEVAL = [Head(2, 4), Head(2, 5), Head(2, 3), Head(2, 2)]


def model(n_layers=4, n_heads=8, n_kv_heads=4, layers=None):
    """What a plan asks a bridge for: its size, and the layers that have attention."""
    attention = range(n_layers) if layers is None else layers
    return SimpleNamespace(
        cfg=SimpleNamespace(n_layers=n_layers, n_heads=n_heads, n_key_value_heads=n_kv_heads),
        original_model=None,
        blocks_with=lambda name: [(layer, None) for layer in attention],
    )


def ranking(n_layers=4, n_heads=8):
    others = [Head(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    return RETRIEVAL + [head for head in others if head not in RETRIEVAL]


def test_each_k_has_its_top_heads_and_disjoint_controls():
    plan = plan_ablation(model(), ranking(), ks=[4, 1], n_controls=3, match=None)
    assert plan.ks == (0, 1, 4)
    assert [heads.condition for heads in plan.sets] == [
        "none",
        "top-1",
        "control-1-0",
        "control-1-1",
        "control-1-2",
        "top-4",
        "control-4-0",
        "control-4-1",
        "control-4-2",
    ]
    for heads in plan.sets:
        assert len(heads.heads) == heads.k
        if heads.kind == "top":
            assert list(heads.heads) == RETRIEVAL[: heads.k]
        if heads.kind == "control":
            assert not set(heads.heads) & set(RETRIEVAL[: heads.k])
    assert plan.of(4, "control") == ["control-4-0", "control-4-1", "control-4-2"]
    assert plan.n_possible == {1: 31, 4: 20475}
    assert plan.notes == {}


def test_few_controls_are_noted_and_missing_ones_do_not_stop_the_curve():
    plan = plan_ablation(model(), ranking(), ks=[2, 4, 20], exclude=RETRIEVAL)
    assert plan.n_possible == {2: 6, 4: 1, 20: 0}
    assert plan.notes[2] == "only 6 control sets matched by layer of 10 asked for"
    assert plan.notes[4] == "only 1 control set matched by layer of 10 asked for"
    assert plan.notes[20].startswith("no controls. Expected free heads: 8 in layer 0, found 0")
    assert plan.of(20, "top") == ["top-20"]
    assert plan.of(20, "control") == []


def test_without_numbers_those_that_the_ranking_has_are_taken():
    assert plan_ablation(model(), ranking(), n_controls=0).ks == (0, 1, 2, 5, 10, 20)
    assert plan_ablation(model(), ranking()[:5], n_controls=0).ks == (0, 1, 2, 5)


def test_layers_without_attention_give_no_controls():
    hybrid = model(layers=[1, 3])
    heads = [Head(1, 0), Head(3, 0)]
    plan = plan_ablation(hybrid, heads, ks=[1], n_controls=50, match=None)
    assert plan.n_possible == {1: 15}
    assert {head.layer for heads in plan.sets for head in heads.heads} == {1, 3}


def test_the_table_names_every_set():
    plan = plan_ablation(model(), ranking(), ks=[2], n_controls=1, exclude=RETRIEVAL)
    table = plan.to_dataframe()
    assert table["condition"].tolist() == ["none", "top-2", "control-2-0"]
    assert table["heads"].tolist()[:2] == ["", "L2H4 L2H5"]
    assert table["draw"].isna().tolist() == [True, True, False]
    assert {Head.parse(label).layer for label in table["heads"][2].split()} == {2}


@pytest.mark.parametrize(
    ("heads", "options", "message"),
    [
        (ranking(), {"ks": [1, 50]}, r"from 0 to 32, the heads of the ranking, .* found \[50\]"),
        (ranking(), {"ks": [-1]}, r"found \[-1\]"),
        (ranking(), {"ks": [1], "n_controls": -1}, r"found \[1\] and -1"),
        (RETRIEVAL * 2, {"ks": [1]}, "distinct heads; found 8 entries and 4 heads"),
        ([Head(9, 0)], {"ks": [1]}, "4 layers of 8 heads; found L9H0"),
    ],
)
def test_what_cannot_be_planned_is_refused(heads, options, message):
    with pytest.raises(ValueError, match=message):
        plan_ablation(model(), heads, **options)
