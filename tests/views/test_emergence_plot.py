"""Heads over a training: the figures and the page have the numbers of the result."""

import math

import numpy as np
import pytest
from emergence_cases import NAN, made_emergence
from page_cases import HOSTILE, page_result
from parsed_page import by_id, parse_page

from rh_lens.cli import show
from rh_lens.demo import DEMO_MODEL_FOLDER, bundled
from rh_lens.views import explore_emergence, plot_emergence
from rh_lens.views.page import page_content, page_html


def lines_of(axes):
    return {line.get_label(): line.get_ydata() for line in axes.get_lines()}


def test_lines_are_scores_recall_and_induction():
    left, right = plot_emergence(made_emergence(), k=2).axes
    drawn = lines_of(left)
    assert list(drawn) == ["L0H1", "L0H0", "recall"]
    np.testing.assert_allclose(drawn["L0H1"], [NAN, NAN, 0.4, 0.6])
    np.testing.assert_allclose(drawn["recall"], [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(lines_of(right)["L0H1"], [0] * 4)
    assert "recall" not in lines_of(right)
    left, right = plot_emergence(made_emergence(), heads="L1H0", value="forced").axes
    np.testing.assert_allclose(lines_of(right)["L1H0"], [0, 0.3, 0.6, 0.9])


def test_tokens_stand_on_a_log_axis_with_what_was_before_them_at_its_end():
    left, _ = plot_emergence(made_emergence()).axes
    assert left.get_xscale() == "log"
    assert left.get_xlabel() == "tokens trained on"
    line = left.get_lines()[0]
    np.testing.assert_allclose(line.get_xdata(), [1e4 / 3, 1e4, 2e4, 3e4])
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["0", "10K", "20K", "30K"]
    # Without tokens it is of steps, and without both of moments in their order.
    left, _ = plot_emergence(made_emergence(("5", "50"), tokens_per_step=NAN)).axes
    assert (left.get_xlabel(), left.get_xscale()) == ("training steps", "log")
    np.testing.assert_allclose(left.get_lines()[0].get_xdata(), [5, 50])
    left, _ = plot_emergence(made_emergence(("main", "0"))).axes
    assert (left.get_xlabel(), left.get_xscale()) == ("moment", "linear")
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["main", "0"]


def test_the_figure_of_a_session_has_the_same_points():
    figure = explore_emergence(made_emergence(), k=2)
    named = [(line.name, line.xaxis) for line in figure.data]
    assert named == [
        ("L0H1", "x"), ("L0H0", "x"), ("recall", "x"), ("L0H1", "x2"), ("L0H0", "x2"),
    ]  # fmt: skip
    assert figure.data[0].y[2:] == (0.4, pytest.approx(0.6))
    assert all(map(math.isnan, figure.data[0].y[:2]))
    assert list(figure.data[0].text) == ["0", "10", "20", "30"]
    assert figure.layout.xaxis.type == figure.layout.xaxis2.type == "log"
    assert figure.layout.xaxis.ticktext == ("0", "10K", "20K", "30K")


@pytest.mark.parametrize("plot", [plot_emergence, explore_emergence])
def test_heads_that_are_not_there_or_too_many_are_refused(plot):
    with pytest.raises(ValueError, match=r"1 to 6 heads of 2 layers of 2; found 1, of which.*L9H0"):
        plot(made_emergence(), heads="L9H0")
    heads = [(layer, head) for layer in range(4) for head in range(2)]
    with pytest.raises(ValueError, match="found 8"):
        plot(made_emergence(n_layers=4), heads=heads)


def section(**options):
    return by_id(parse_page(page_html(page_content(page_result(), **options))), "training")


def test_the_page_has_the_moments_and_when_each_head_came():
    names = ("0", "10", "20", HOSTILE)
    found = section(emergence=made_emergence(names))
    assert not found.all("script")
    recalls, heads = found.all("table")
    rows = recalls.rows()[1:]
    assert [row[0] for row in rows[:3]] == ["0", "10", "20"]
    assert rows[2][1:] == ["20,000", "0.667", "0.667", "4 of 6"]
    assert rows[3][1] == "–"
    best = heads.rows()[1]
    assert best[:4] == ["L0H1", "20", "0.60", "0.60"]
    # What is said of the last moment, which is chosen at first.
    assert "recall 1.000 · L0H1 0.600" in found.text
    assert 'id="training"' not in page_html(page_content(page_result()))


def test_a_page_of_many_moments_shows_some_of_them():
    found = section(emergence=made_emergence(tuple(map(str, range(100)))))
    rows = found.all("table")[0].rows()[1:]
    assert len(rows) == 40
    assert (rows[0][0], rows[-1][0]) == ("0", "99")


def test_a_bundled_model_with_snapshots_has_them_on_its_page(tmp_path, monkeypatch):
    assert show._training_of("demo") is None
    assert show._training_of("some/model") is None
    assert show._training_of("demo:no-such") is None
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((DEMO_MODEL_FOLDER / name).read_bytes()[:9])
    monkeypatch.setitem(bundled._FOLDERS, "scholar", tmp_path)
    assert show._training_of("demo:scholar") is None
    made_emergence().to_dataframe().to_csv(tmp_path / "snapshots.csv", index=False)
    found = show._training_of("demo:scholar")
    assert found.to_dataframe().equals(made_emergence().to_dataframe())
