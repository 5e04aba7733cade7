import pandas as pd
import pytest
import reference
import torch
from detection_cases import make_sources, random_case
from planted import make_prompt

from rh_lens.detection import EVENT_COLUMNS, CopyEvents, copy_mask, find_copy_events

DTYPES = {
    "trial": "int64",
    "step": "int64",
    "layer": "int64",
    "head": "int64",
    "source": "int64",
    "answer_offset": "int64",
    "token_id": "int64",
    "token": "string",
    "weight": "float32",
    "margin": "float32",
    "needle_mass": "float32",
    "sink_mass": "float32",
}


def test_an_event_needs_the_right_place_and_the_right_token():
    prompt = torch.tensor([5, 6, 7, 8, 6])
    said = torch.tensor([6, 6, 6, 6])
    looked_at = torch.tensor([1, 2, 4, 6])[:, None, None]  # right, wrong token, outside, behind
    events = copy_mask(looked_at, prompt, said, (1, 4))
    assert events[:, 0, 0].tolist() == [True, False, False, False]


@pytest.mark.parametrize("seed", range(5))
def test_events_equal_plain_loops(seed, tiny_tokenizer):
    case = random_case(seed)
    table = find_copy_events(3, case.prompt, case.generated, case.sources, tiny_tokenizer)
    found = list(zip(table["step"], table["layer"], table["head"], table["source"], strict=True))
    expected = reference.copy_events(
        case.rows, case.prompt.tokens.tolist(), case.generated.tolist(), case.prompt.answer_span
    )
    assert found == expected
    assert len(found) > 0


def test_a_row_says_what_was_copied_from_where(tiny_tokenizer):
    prompt = make_prompt([0, 40, 41, 42, 43], (2, 4))
    sources = make_sources([4, 5], layers=(0, 2))
    sources.source[1, 1, 0] = 3
    table = find_copy_events(7, prompt, torch.tensor([99, 42]), sources, tiny_tokenizer)
    assert table.to_dict("records") == [
        {
            "trial": 7,
            "step": 1,
            "layer": 2,
            "head": 0,
            "source": 3,
            "answer_offset": 1,
            "token_id": 42,
            "token": tiny_tokenizer.decode([42]),
            "weight": 1.0,
            "margin": 1.0,
            "needle_mass": 1.0,
            "sink_mass": 1.0,
        }
    ]


def test_the_table_has_the_same_dtypes_with_and_without_rows(tiny_tokenizer):
    prompt = make_prompt([0, 40, 41, 42, 43], (2, 4))
    sources = make_sources([4])
    empty = find_copy_events(0, prompt, torch.tensor([99]), sources, tiny_tokenizer)
    sources.source[0, 0, 0] = 2
    full = find_copy_events(0, prompt, torch.tensor([41]), sources, tiny_tokenizer)
    assert (len(empty), len(full)) == (0, 1)
    for table in (empty, full, CopyEvents.join([empty, full]).table, CopyEvents.join([]).table):
        assert tuple(table.columns) == EVENT_COLUMNS
        assert {name: str(dtype) for name, dtype in table.dtypes.items()} == DTYPES


def test_tables_join_and_split_by_trial(tiny_tokenizer):
    case = random_case(1)
    tables = [
        find_copy_events(trial, case.prompt, case.generated, case.sources, tiny_tokenizer)
        for trial in (0, 4)
    ]
    events = CopyEvents.join(tables)
    assert len(events.to_dataframe()) == 2 * len(tables[0])
    pd.testing.assert_frame_equal(events.of_trials([4]).table, tables[1])
    assert len(events.of_trials([]).table) == 0


def test_the_dataframe_is_a_copy():
    events = CopyEvents.join([])
    table = events.to_dataframe()
    table.loc[0, "trial"] = 5
    assert len(events.table) == 0


def test_another_table_is_refused():
    with pytest.raises(ValueError, match=r"found \('head',\)\. Make the table with"):
        CopyEvents(pd.DataFrame({"head": [1]}))


def test_rows_and_tokens_must_match(tiny_tokenizer):
    prompt = make_prompt([0, 40, 41, 42, 43], (2, 4))
    with pytest.raises(ValueError, match=r"each of the 2 generated tokens; found 1\. Select them"):
        find_copy_events(0, prompt, torch.tensor([1, 2]), make_sources([4]), tiny_tokenizer)


def test_sources_without_span_are_refused(tiny_tokenizer):
    prompt = make_prompt([0, 40, 41, 42, 43], (2, 4))
    sources = make_sources([4], needle=False)
    with pytest.raises(ValueError, match="Expected sources with needle_mass; found None"):
        find_copy_events(0, prompt, torch.tensor([1]), sources, tiny_tokenizer)
