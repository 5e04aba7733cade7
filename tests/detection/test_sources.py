import pytest
import torch
from detection_cases import make_sources


def rows_of(sources):
    return sources.weight[:, 0, 0].int().tolist()


def test_answer_rows_leave_out_the_prompt_and_the_stop_token():
    sources = make_sources([7, 8, 9, 10, 11, 12])  # a prompt of 10 tokens, the stop at 12
    answer = sources.answer_rows(10, 3)
    assert answer.query_position.tolist() == [9, 10, 11]
    assert rows_of(answer) == [2, 3, 4]
    assert answer.first_visible.shape == (3, 2)


def test_the_last_row_of_a_position_counts():
    drafted = make_sources([9, 10, 11, 10, 11, 12])  # row 10 recorded again after a refused draft
    assert rows_of(drafted.answer_rows(10, 3)) == [0, 3, 4]


def test_an_empty_answer_has_no_rows():
    sources = make_sources([9]).answer_rows(10, 0)
    assert sources.n_steps == 0
    assert sources.source.shape == (0, 2, 2)
    assert not sources.visible((0, 5)).any()


def test_a_position_without_row_is_an_error():
    with pytest.raises(ValueError, match=r"positions 8 to 10; found none at \[8\] .* its row"):
        make_sources([9, 10]).answer_rows(9, 3)


def test_visibility_is_false_without_attention_and_out_of_reach():
    sources = make_sources([9], first_visible=4)
    assert sources.visible((2, 5)).tolist() == [[True, True], [False, False], [True, True]]
    assert not sources.visible((2, 4)).any()
    assert sources.visible((9, 12)).any()  # the row sees itself
    assert not sources.visible((10, 12)).any()  # but nothing behind it


def test_one_row_in_reach_is_enough():
    sources = make_sources([9, 10])
    sources.first_visible[0] = 6
    assert sources.visible((2, 5)).any()


def test_values_stand_at_their_layer_in_the_model():
    placed = make_sources([9]).by_model_layer(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert placed[[0, 2]].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert placed[1].isnan().all()


def test_needle_mass_is_asked_for_where_it_is_needed():
    with pytest.raises(ValueError, match=r"found None\. Record them with SourceRecorder\(model"):
        make_sources([9], needle=False).require_needle_mass()
