"""Which copy was copied: planted looks at one of two sentences, and the answers' own words."""

import pytest
import torch
from made_rows import LENGTH, OTHER, START, made_rows

from rh_lens.demo import load_demo_model
from rh_lens.doubts import copied_where, kind_scores
from rh_lens.heads import Head

STEPS = torch.arange(LENGTH)


def with_copy(source):
    """The other needle's tokens are the answer's own, as in a duplicate."""
    row = made_rows(source)
    row.prompt.tokens[OTHER : OTHER + LENGTH] = row.prompt.answer_tokens
    return row


def test_each_copy_is_counted_where_it_came_from():
    source = torch.zeros(LENGTH, 1, 2, dtype=torch.long)
    source[:, 0, 0] = torch.where(STEPS < 2, START + STEPS, OTHER + STEPS)
    found = copied_where([with_copy(source)], [(0, 0), (0, 1)], ["duplicate"])
    assert found["head"].tolist() == [0] * LENGTH
    assert found["role"].tolist() == ["needle"] * 2 + ["duplicate"] * 4
    assert found["place"].tolist() == [0, 0, 1, 1, 1, 1]
    assert set(found["n_places"]) == {2}


def test_looking_is_no_copy_where_the_token_is_another():
    source = torch.zeros(LENGTH, 1, 1, dtype=torch.long)
    source[:, 0, 0] = OTHER + STEPS
    assert len(copied_where([made_rows(source)], [(0, 0)])) == 0


@pytest.mark.slow
def test_the_bundled_model_on_three_kinds():
    model = load_demo_model()
    heads = [(2, 2), (2, 3), (2, 4), (2, 5)]
    kinds = ["key-value", "multi-key", "unanswerable"]
    found = kind_scores(
        model, heads, kinds=kinds, n_needles=4, n_depths=1, context_length=192, seed=1
    )
    assert list(found.recall) == kinds
    assert found.recall["key-value"].mean > 0.7
    assert set(found.everywhere()) <= {Head(2, h) for h in range(8)} | {
        Head(1, h) for h in range(8)
    }
    assert {Head(*head) for head in heads} <= set(found.heads("key-value"))
    table = found.to_dataframe().set_index("kind")
    assert "needle" in table.loc["key-value", "copied_from"]
    assert set(found.said["role"]) == {"needle", "distractor"}
    # Right is here what does not say the answer to another question.
    said = found.said[found.said["kind"] == "unanswerable"].groupby("trial")["recall"].max()
    expected = float((said <= 0.5).mean())
    assert found.recall["unanswerable"].mean == pytest.approx(expected)
