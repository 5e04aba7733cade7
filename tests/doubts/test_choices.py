"""Choices that move nothing, and choices that decide everything, on recorded answers."""

import dataclasses

import pytest
import torch
from made_rows import LENGTH, START, made_rows
from reference import position_score

from rh_lens.circuits import HeadScores
from rh_lens.doubts import score_choices
from rh_lens.heads import Head
from rh_lens.views import plot_choices

STEPS = torch.arange(LENGTH)
NAMES = "abcdef"


def looks(**heads):
    """Four heads that look at the first token, but for those named."""
    source = torch.zeros(LENGTH, 1, 4, dtype=torch.long)
    for name, places in heads.items():
        source[:, 0, int(name[1:])] = places
    return source


def rows(make=made_rows, **heads):
    return [make(looks(**heads), name) for name in NAMES]


def by_option(choices):
    return {f"{o.choice} {o.name}".strip(): o for o in choices.options}


def test_a_head_that_copies_everything_is_there_whatever_the_choice():
    found = score_choices(rows(h1=START + STEPS), [1.0] * 6)
    for name, option in by_option(found).items():
        if "mass" not in name:
            assert option.heads() == [Head(0, 1)]
            assert found.jaccard(option) == (1.0, 1.0, 1.0, 6)
    table = found.to_dataframe()
    assert (table["score_moved"][table["option"] != "mass"] == 0).all()


def test_scores_by_hand():
    # Copies tokens 0, 2 and 4; the second rank has the next position, and so all of them.
    half = torch.where(STEPS % 2 == 0, START + STEPS, START + STEPS - 1)
    found = by_option(score_choices(rows(h2=half), [1.0] * 6))
    score = {name: float(option.scores.mean()[0, 2]) for name, option in found.items()}
    sources = half.tolist()
    assert score["usual"] == position_score([s for s in sources if (s - START) % 2 == 0], (40, 46))
    assert score["usual"] == pytest.approx(3 / 6)
    assert score["what counts as a look top 3"] == 1.0
    assert score["steps first token"] == 1.0
    assert score["normalisation copies a step"] == pytest.approx(3 / 6)
    assert score["threshold 0.5"] == pytest.approx(3 / 6)
    assert score["what counts as a look mass"] == 0.0


def test_a_head_of_the_sentence_only_is_found_by_the_choice_of_span():
    def with_sentence(source, name):
        row = made_rows(source, name)
        tokens = row.prompt.tokens.clone()
        tokens[START - LENGTH : START] = row.said
        prompt = dataclasses.replace(row.prompt, needle_span=(START - LENGTH, START + LENGTH),
                                     tokens=tokens)  # fmt: skip
        return dataclasses.replace(row, prompt=prompt)

    given = rows(with_sentence, h1=START + STEPS, h3=START - LENGTH + STEPS)
    found = score_choices(given, [1.0] * 6)
    options = by_option(found)
    assert options["usual"].heads() == [Head(0, 1)]
    assert options["span sentence"].heads() == [Head(0, 1), Head(0, 3)]
    assert found.jaccard(options["span sentence"]).mean == 0.5


def test_the_recall_chooses_the_trials():
    found = by_option(score_choices(rows(h1=START + STEPS), [1.0, 1.0, 0.6, 0.4, 0.2, 0.0]))
    assert len(found["usual"].scores.units) == 3
    assert len(found["recall > 0.8"].scores.units) == 2
    assert len(found["recall > 0.3"].scores.units) == 4


def test_other_runs_are_compared_over_the_needles_in_common():
    values = torch.zeros(2, 1, 4)
    values[:, 0, 3] = 1.0
    given = rows(h1=START + STEPS)
    more = {"template: chat": HeadScores(values, "position", (given[0].needle, given[1].needle))}
    found = score_choices(given, [1.0] * 6, more=more)
    option = by_option(found)["template chat"]
    assert found.jaccard(option) == (0.0, 0.0, 0.0, 2)


def test_no_answer_above_the_recall_is_refused():
    with pytest.raises(ValueError, match=r"the highest 0\.40"):
        score_choices(rows(), [0.4] * 6)


def test_the_picture_has_a_row_for_each_option_and_the_scores():
    pytest.importorskip("matplotlib")
    found = score_choices(rows(h1=START + STEPS), [1.0] * 6)
    (axes,) = plot_choices(found).axes
    assert len(axes.get_yticks()) == len(found.options)
    marks = [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() != "None"]
    assert marks[0] == 1.0
