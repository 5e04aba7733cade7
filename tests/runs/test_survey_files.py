"""A survey comes back from its folder, and what is none is refused."""

import numpy as np
import pandas as pd
import pytest
import torch

from rh_lens.circuits import HeadScores, HeadSurvey, compare_kinds
from rh_lens.runs import load_survey, save_survey
from rh_lens.views import summarise
from rh_lens.views.survey_text import shared_with_retrieval


def scores(*best):
    """Two units, two layers of four heads; these score 1, the others less and less."""
    values = torch.arange(8.0).flip(0).reshape(2, 4).double() / 100
    for layer, head in best:
        values[layer, head] = 1.0
    return HeadScores(torch.stack([values, values]), "a kind", ("a", "b"))


@pytest.fixture(scope="module")
def survey():
    kinds = {
        "retrieval: position": scores((1, 0), (1, 1), (1, 2), (1, 3)),
        "induction": scores((1, 0), (1, 1), (1, 2), (0, 0)),
        "sink": scores((0, 0), (0, 1), (0, 2), (0, 3)),
    }
    return HeadSurvey(kinds, {"copying": "no <b> reason"})


@pytest.fixture(scope="module")
def overlap(survey):
    return compare_kinds(survey.scores, k=4, n_permutations=50, n_resamples=20)


def test_the_tables_come_back(survey, overlap, tmp_path):
    folder = save_survey(survey, overlap, tmp_path / "new" / "survey", {"command": "describe"})
    found = load_survey(folder)
    pd.testing.assert_frame_equal(found.kinds, survey.kinds())
    pd.testing.assert_frame_equal(found.heads, survey.to_dataframe())
    pd.testing.assert_frame_equal(found.overlap, overlap.to_dataframe())
    assert found.description["left_out"] == {"copying": "no <b> reason"}
    assert found.description["command"] == "describe"


def test_the_text_names_the_shared_heads(survey, overlap, tmp_path):
    found = load_survey(save_survey(survey, overlap, tmp_path))
    shared = shared_with_retrieval(found).set_index("kind")["value"]
    # Three heads in both sets of four, five in either; none and eight.
    assert shared["induction"] == pytest.approx(3 / 5)
    assert shared["sink"] == 0
    told = summarise(found)
    assert "induction    0.60" in told
    assert "L1H0 1.00" in told
    assert max(map(len, told.splitlines())) <= 80


@pytest.mark.parametrize("name", ["survey.json", "kinds.parquet", "overlap.parquet"])
def test_a_part_that_is_missing_or_another_is_refused(survey, overlap, tmp_path, name):
    folder = save_survey(survey, overlap, tmp_path)
    (folder / name).write_text("[]")
    with pytest.raises(ValueError, match="rh-lens describe again"):
        load_survey(folder)
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        load_survey(folder)


def test_a_table_of_other_columns_is_refused(survey, overlap, tmp_path):
    folder = save_survey(survey, overlap, tmp_path)
    pd.DataFrame({"a": np.zeros(2)}).to_parquet(folder / "kinds.parquet")
    with pytest.raises(ValueError, match="no column"):
        load_survey(folder)
