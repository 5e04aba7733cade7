"""The heat map, in a file, in a session and in a notebook, says what the scores say."""

import re

import numpy as np
import pytest
import torch
from score_cases import grid_table, make_scores, one_trial
from torch.testing import assert_close

from rh_lens.analysis import score_intervals
from rh_lens.heads import Head
from rh_lens.representation import heat_map_svg
from rh_lens.views import explore_heat_map, head_cells, plot_heat_map

NAN = float("nan")


@pytest.fixture
def scores():
    """Two layers of four heads: L0H1 and L1H2 are retrieval heads, L1H0 has no score."""
    return one_trial([[0.0, 0.1, 0.05, 0.0], [NAN, 0.0, 0.9, 0.0]])


def outlines(figure) -> list[tuple[float, float, float, float]]:
    return [
        (shape.x0, shape.x1, shape.y0, shape.y1)
        for shape in figure.layout.shapes
        if shape.type == "rect" and shape.line.color != "white"
    ]


def large() -> torch.Tensor:
    """80 layers of 64 heads, a few with high scores."""
    return torch.rand(80, 64, generator=torch.Generator().manual_seed(0)) ** 30


def test_the_interactive_map_has_every_score_at_its_place(scores):
    figure = explore_heat_map(scores)
    image, crosses = figure.data
    assert_close(torch.tensor(np.array(image.z)), scores.mean(), equal_nan=True)
    assert (image.zmin, image.zmax) == (0, 1)
    # Layer 0 is at the top.
    assert tuple(figure.layout.yaxis.range) == (1.5, -0.5)
    assert outlines(figure) == [(0.5, 1.5, -0.5, 0.5), (1.5, 2.5, 0.5, 1.5)]
    assert (list(crosses.x), list(crosses.y)) == ([0], [1])


def test_pointing_at_a_head_tells_what_is_known_of_it(run):
    result = run()
    text = explore_heat_map(result).data[0].text
    assert text[0][1] == "L0H1<br>position score 1.000<br>active in 100 % of 1 trials<br>KV group 0"
    assert text[1][2].startswith("L1H2<br>position score 0.429<br>")
    assert text[1][2].endswith("KV group 1")


def test_intervals_are_told_where_they_are_known():
    values = torch.rand(8, 1, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scores = make_scores(values)
    found = score_intervals(scores, grid_table())
    ends = f"[{found.low[0, 1]:.3f}, {found.high[0, 1]:.3f}]"
    for given in (
        explore_heat_map(scores, intervals=found),
        explore_heat_map(found),
    ):
        assert f"95 % interval {ends}" in given.data[0].text[0][1]
    assert "interval" not in explore_heat_map(scores).data[0].text[0][1]
    with pytest.raises(ValueError, match=r"intervals of \[2, 2\]"):
        explore_heat_map(one_trial([[0.0, 0.0], [0.0, 0.0]]), intervals=found)


def test_key_value_groups_are_parted(run):
    lines = [shape for shape in explore_heat_map(run()).layout.shapes if shape.type == "line"]
    assert [(line.x0, line.y0, line.y1) for line in lines] == [(1.5, -0.5, 2.5)]


def test_the_map_for_files_draws_the_same(scores):
    axes = plot_heat_map(scores).axes[0]
    (image,) = axes.images
    drawn = np.ma.filled(image.get_array(), np.nan)
    assert_close(torch.tensor(drawn), scores.mean(), equal_nan=True)
    assert image.get_clim() == (0, 1)
    framed = {tuple(map(round, patch.get_center())) for patch in axes.patches}
    assert framed == {(1, 0), (2, 1)}
    assert axes.get_ylim() == (1.5, -0.5)
    assert axes.collections[-1].get_offsets().tolist() == [[0, 1]]
    assert "crossed out: 1 without a score" in axes.figure.get_suptitle()


def test_scores_beyond_the_scale_are_marked_on_it():
    over = plot_heat_map(one_trial([[0.2, 1.5]])).axes[0].child_axes[0]
    assert over._colorbar.extend == "max"
    assert plot_heat_map(one_trial([[0.2, 1.0]])).axes[0].child_axes[0]._colorbar.extend == (
        "neither"
    )


@pytest.mark.parametrize("shape", [(1, 8), (1, 64), (48, 2), (80, 64)])
def test_models_of_every_shape_fit(shape, tmp_path):
    scores = one_trial(large()[: shape[0], : shape[1]])
    figure = plot_heat_map(scores)
    width, height = figure.get_size_inches()
    assert 3 < width < 6
    assert 1 < height < 7
    figure.savefig(tmp_path / "map.png", dpi=60)
    drawn = explore_heat_map(scores)
    assert 100 < drawn.layout.height < 1000
    assert len(outlines(drawn)) == len(scores.heads())


def test_another_threshold_outlines_others(scores):
    assert outlines(explore_heat_map(scores, threshold=0.5)) == [(1.5, 2.5, 0.5, 1.5)]
    assert head_cells(scores).retrieval_heads() == [Head(0, 1), Head(1, 2)]


def test_what_has_no_scores_is_refused():
    for draw in (plot_heat_map, explore_heat_map):
        with pytest.raises(TypeError, match="result"):
            draw(torch.zeros(2, 2))


def test_a_result_shows_its_map_in_a_notebook(run):
    html = run()._repr_html_()
    assert html.index("<svg") < html.index("<table")
    assert "<title>L0H1 1.000</title>" in html
    assert "<title>L1H2 0.429</title>" in html
    assert "2 heads of 0.1 or more (outlined)" in html
    assert "script" not in html
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")


def test_the_inline_map_places_colours_and_outlines_its_cells():
    svg = heat_map_svg([[0.0, 1.0], [NAN, 0.5]], outlined=[(0, 1)], caption='<b>"')
    size = 26
    assert f'<rect x="{size}" y="0" width="26" height="26" fill="#000004">' in svg
    assert f'<rect x="{size}" y="{size}" width="26" height="26" fill="#b63679">' in svg
    assert svg.count("<title>") == 3
    assert "L1H0: no score" in svg
    assert f'<rect x="{size}" y="0" width="26" height="26" fill="none" stroke="#0072b2"' in svg
    assert "<b>" not in svg
    assert 'aria-label="&lt;b&gt;&quot;"' in svg


def test_the_inline_map_of_a_large_model_stays_small():
    means = large().where(large() > 0.01, 0.0)
    svg = heat_map_svg(means.tolist(), group_size=8)
    assert len(svg) < 200_000
    assert svg.count("<title>") == int((means > 0).sum())
    assert len(re.findall(r'd="M[\d.]+ 0v', svg)) == 7
