import builtins
from types import SimpleNamespace

import pandas as pd
import pytest

from rh_lens.evaluation import AblationTables, plan_ablation
from rh_lens.heads import Head
from rh_lens.views import plot_curve, summarise

NAN = float("nan")


@pytest.fixture
def curve():
    """Four silenced heads destroy recall; eight are a whole layer."""
    return pd.DataFrame(
        {
            "k": [0, 4, 8],
            "top": [1.0, 0.031, 0.02],
            "top_low": [0.74, 0.0, 0.0],
            "top_high": [1.0, 0.29, 0.28],
            "change": [NAN, -0.969, -0.98],
            "change_low": [NAN, -1.0, -1.0],
            "change_high": [NAN, -0.6, -0.62],
            "p_untouched": [NAN, 0.00024, 0.00024],
            "p_heads": [NAN, 0.05, 1.0],
            "n_sets": [1, 70, 1],
            "p_curve": 0.05,
            "p_smallest": 0.05,
            "n_rankings": 19,
            "n_other_rankings": 20_000_000,
            "n_needles": 12,
            "n_prompts": 48,
            "metric": "recall",
            "level": 0.95,
        }
    )


@pytest.fixture
def controls():
    """Sets of the same layer exist at K = 4 only, one of them; two are like in norm."""
    return pd.DataFrame(
        {
            "k": [4, 4, 8],
            "match": ["layer", "norm", "layer"],
            "control": [1.0, 0.6, NAN],
            "control_low": [0.74, 0.3, NAN],
            "control_high": [1.0, 0.9, NAN],
            "control_lowest": [1.0, 0.5, NAN],
            "control_highest": [1.0, 0.7, NAN],
            "difference": [-0.969, -0.57, NAN],
            "difference_low": [-1.0, -0.8, NAN],
            "difference_high": [-0.6, -0.2, NAN],
            "p_equivalent": [0.28, 1.0, NAN],
            "n_draws": [1, 2, 0],
            "n_possible": pd.array([1, None, 0], dtype="Int64"),
            "norm": [15.8, 15.8, NAN],
            "control_norm": [2.5, 7.5, NAN],
            "entropy": [0.3, 0.3, NAN],
            "control_entropy": [4.2, 1.6, NAN],
            "margin": 0.1,
            "note": ["one set", "", "no controls"],
        }
    )


def test_the_text_has_a_line_for_each_k_and_says_what_the_tests_can_show(curve):
    lines = summarise(AblationTables(curve)).splitlines()
    assert lines[0] == "Needle recall with the top K heads silenced (12 needles, 48 prompts)"
    assert lines[1].split() == "K top K change p needles p heads sets".split()
    assert lines[2].split() == "0 1.00 [0.74, 1.00] - - - 1".split()
    assert lines[3].split() == "4 0.03 [0.00, 0.29] -0.97 [-1.00, -0.60] 0.00024 0.05 70".split()
    text = " ".join(lines)
    assert "19 of 2e+07 other rankings: 0.05 at the smallest." in " ".join(text.split())
    assert lines[-1] == "The whole curve against these rankings: p = 0.05."


def test_too_few_rankings_are_said_to_be_too_few(curve):
    few = curve.assign(n_rankings=7, n_other_rankings=7, p_smallest=1 / 8, p_curve=1 / 8)
    text = " ".join(summarise(AblationTables(few)).split())
    assert text.endswith("p = 0.12. Too few rankings to test the heads at 0.05.")
    none = curve.assign(n_rankings=0, p_smallest=NAN, p_curve=NAN, p_heads=NAN)
    assert "is not tested" in summarise(AblationTables(none))


def test_controls_stand_side_by_side_with_their_balance_and_notes(curve, controls):
    lines = summarise(AblationTables(curve, controls)).splitlines()
    start = lines.index("Other heads silenced: none of the top K, no retrieval heads")
    # What does not fit 80 columns follows below.
    first = "4 same layers 1 of 1 1.00 [0.74, 1.00] (1.00 to 1.00) -0.97 [-1.00, -0.60]"
    assert lines[start + 2].split() == first.split()
    assert lines[start + 3].split()[:4] == ["4", "like", "norm", "2"]
    assert lines[start + 6].split() == "4 same layers 0.28 15.8 / 2.5 0.3 / 4.2".split()
    assert max(map(len, lines)) <= 80
    assert lines[-2:] == ["K = 4, same layers: one set", "K = 8, same layers: no controls"]


def test_a_curve_read_from_its_files_reads_the_same(curve, controls, tmp_path):
    curve.to_csv(tmp_path / "curve.csv", index=False)
    controls.to_csv(tmp_path / "controls.csv", index=False)
    read = [pd.read_csv(tmp_path / name) for name in ("curve.csv", "controls.csv")]
    assert summarise(AblationTables(*read)) == summarise(AblationTables(curve, controls))


def test_the_picture_shows_both_curves_from_the_untouched_model_on(curve, controls):
    (axes,) = plot_curve(AblationTables(curve, controls)).axes
    top, same_layers, like_norm = axes.get_lines()
    # The Ks stand at equal distances, and fill the width.
    assert list(top.get_xdata()) == [0, 1, 2]
    assert list(top.get_ydata()) == [1.0, 0.031, 0.02]
    assert axes.get_xlim() == pytest.approx((-0.3, 2.3))
    # Controls begin where the curve does, and stand a little beside it.
    assert list(same_layers.get_xdata()) == [0, 1.09]
    assert list(same_layers.get_ydata()) == [1.0, 1.0]
    assert list(like_norm.get_ydata()) == [1.0, 0.6]
    bars = axes.collections[-1].get_segments()
    assert [bar[:, 1].tolist() for bar in bars] == [[0.5, 0.7]]
    assert axes.get_ylabel() == "needle recall"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "4", "8"]
    (alone,) = plot_curve(AblationTables(curve)).axes
    assert len(alone.get_lines()) == 1


def test_the_picture_says_why_controls_end_where_they_do(curve, controls):
    (axes,) = plot_curve(AblationTables(curve, controls)).axes
    _, same_layers, like_norm = axes.get_lines()
    assert same_layers.get_label().endswith(";\n    K = 8: too few such heads are left")
    assert "too few" not in like_norm.get_label()


def test_a_picture_is_saved(curve, tmp_path):
    plot_curve(AblationTables(curve)).savefig(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"


def test_without_matplotlib_the_error_names_the_extra(curve, monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"Install rh-lens\[viz\]"):
        plot_curve(AblationTables(curve))


def test_ways_to_fail_that_do_not_occur_are_left_out(curve):
    shares = pd.DataFrame(
        {
            "kind": ["none", "top", "control"],
            "k": [0, 4, 4],
            "match": [None, None, "layer"],
            "retrieved": [1.0, 0.0, 0.95],
            "refusal": [0.0, 0.0, 0.0],
            "hallucination": [0.0, 1.0, 0.05],
            "ratio": [1.0, 1.004, 1.03],
        }
    )
    lines = summarise(AblationTables(curve, failures=shares)).split("\n\n")[1].splitlines()
    assert lines[0] == "How answers come out (shares), and perplexity of plain text"
    assert lines[1].split() == "silenced K retrieved hallucination times untouched".split()
    assert [line.split() for line in lines[2:]] == [
        "untouched 0 1.00 0.00 1.00".split(),
        "top 4 0.00 1.00 1.00".split(),
        "controls, same layers 4 0.95 0.05 1.03".split(),
    ]


def test_before_a_run_it_is_said_what_the_test_can_show():
    def plan(ranking, ks, n_rankings):
        sizes = SimpleNamespace(n_layers=2, n_heads=4, n_key_value_heads=4)
        model = SimpleNamespace(
            cfg=sizes,
            original_model=None,
            blocks_with=lambda name: [(0, None), (1, None)],
            hook_dict={},
        )
        found = plan_ablation(model, ranking, ks=ks, n_controls=0, n_rankings=n_rankings)
        return summarise(found)

    heads = [Head(1, head) for head in range(4)]
    assert plan(heads, [1, 2, 3], 19) == (
        "4 conditions, each with all prompts. At most 11 drawn sets, each with one prompt of every "
        "needle. Heads are tested by 19 of 23 other rankings of the same layers: p = 0.05 at the "
        "smallest, for the whole curve and for each K."
    )
    assert plan(heads, [2, 4], 19).endswith(
        "That is above 0.05: heads cannot be tested. More do not exist. K = 4 silences whole "
        "layers: no other heads could take their place."
    )
    assert plan(heads, [2], 3).endswith("cannot be tested. Draw more.")
    assert plan(heads, [2], 0).endswith("No rankings to test the heads by.")
