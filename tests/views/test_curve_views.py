import builtins

import pandas as pd
import pytest

from rh_lens.views import describe_curve, describe_failures, plot_curve


@pytest.fixture
def curve():
    """Four silenced heads destroy recall; ten have no controls."""
    missing = float("nan")
    tests = ("p_permutation", "p_mcnemar", "p_sign", "p_untouched")
    table = pd.DataFrame(
        {
            "k": [0, 4, 10],
            "top": [1.0, 0.031, 0.02],
            "top_low": [1.0, 0.0, 0.0],
            "top_high": [1.0, 0.07, 0.06],
            "control": [missing, 0.95, missing],
            "control_lowest": [missing, 0.9, missing],
            "control_highest": [missing, 1.0, missing],
            "n_draws": [0, 2, 0],
            "n_possible": [0, 20_000_000, 0],
            **{test: [missing, 0.0125, missing] for test in tests},
            **{f"{test}_holm": [missing, 0.05, missing] for test in tests},
            "note": ["", "only 2 control sets", "no controls"],
        }
    )
    return table


def test_the_text_has_a_line_for_each_k_and_a_note_where_controls_lack(curve):
    lines = describe_curve(curve).splitlines()
    assert lines[0] == "Needle recall with the top K heads silenced, and with random controls"
    assert lines[1].split() == (
        "K top K controls draws p draws p McNemar p needles".split()  # titles of the columns
    )
    assert lines[2].split() == "0 1.000 [1.00, 1.00] - - - / - - / - - / -".split()
    assert lines[3].split() == (
        "4 0.031 [0.00, 0.07] 0.950 (0.90 to 1.00) 2 of 2e+07 0.013 / 0.05 0.013 / 0.05 "
        "0.013 / 0.05".split()
    )
    assert lines[-2:] == ["K = 4: only 2 control sets", "K = 10: no controls"]


def test_a_curve_read_from_its_file_reads_the_same(curve, tmp_path):
    curve.to_csv(tmp_path / "curve.csv", index=False)
    assert describe_curve(pd.read_csv(tmp_path / "curve.csv")) == describe_curve(curve)


def test_the_picture_shows_both_curves_from_the_untouched_model_on(curve):
    (axes,) = plot_curve(curve, metric="recall").axes
    controls, top = axes.get_lines()
    assert top.get_xdata().tolist() == [0, 4, 10]
    assert top.get_ydata().tolist() == [1.0, 0.031, 0.02]
    assert list(controls.get_xdata()) == [0, 4]
    assert list(controls.get_ydata()) == [1.0, 0.95]
    assert axes.get_ylabel() == "needle recall"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "4", "10"]


def test_a_picture_is_saved(curve, tmp_path):
    plot_curve(curve).savefig(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"


def test_without_matplotlib_the_error_names_the_extra(curve, monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"Install rh-lens\[viz\]"):
        plot_curve(curve)


def test_ways_to_fail_that_do_not_occur_are_left_out():
    shares = pd.DataFrame(
        {
            "kind": ["none", "top", "control"],
            "k": [0, 4, 4],
            "retrieved": [1.0, 0.0, 0.95],
            "refusal": [0.0, 0.0, 0.0],
            "hallucination": [0.0, 1.0, 0.05],
            "ratio": [1.0, 1.004, 1.03],
        }
    )
    lines = describe_failures(shares).splitlines()
    assert lines[0] == "How answers come out (shares), and perplexity of plain text"
    assert lines[1].split() == "silenced K retrieved hallucination times untouched".split()
    assert [line.split() for line in lines[2:]] == [
        "untouched 0 1.00 0.00 1.00".split(),
        "top 4 0.00 1.00 1.00".split(),
        "controls 4 0.95 0.05 1.03".split(),
    ]
