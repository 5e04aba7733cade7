"""Which steps of an answer fail, and what the heads looked at meanwhile."""

import math

import pytest
import torch
from tolerances import double_rounding

from rh_lens.evaluation import classify_errors, first_failing_step
from rh_lens.heads import Head


@pytest.mark.parametrize(
    ("said", "step"),
    [
        ([5, 6, 7], 3),  # the answer itself: no step fails
        ([5, 6], 2),  # too short: what ended it is no step
        ([5, 9, 7], 1),  # right again later: failing all the same
        ([9, 5, 6, 7], 0),  # departs at once
        ([5, 6, 7, 8, 8], 3),  # goes on after the answer's end
        ([], 0),
    ],
)
def test_an_answer_fails_from_its_first_departure_on(said, step):
    assert first_failing_step(said, [5, 6, 7]) == step


def test_only_the_failing_steps_count(answer, otter_prompt, llama):
    """The needle's answer begins "a viol"; the head looks there for two steps, then elsewhere."""
    start = otter_prompt.answer_span[0]
    n_right = 3  # "a", " " and "viol"
    said = llama.tokenizer.encode("a violZZ", add_special_tokens=False)
    wanted = otter_prompt.answer_tokens.tolist()
    assert first_failing_step(said, wanted) == n_right
    n_wrong = len(said) - n_right
    look = {(2, 3): [*range(start, start + n_right), start, *[7] * (n_wrong - 1)]}
    result = answer("a violZZ", looks=[look], heads=[Head(2, 3), Head(1, 0)])
    (row,) = classify_errors(result).to_dict("records")
    assert row["n_failing"] == n_wrong
    # Head L2H3 looks at the needle in one failing step, L1H0 at the first token in all of them.
    assert row["active_on_needle"] == 1 / (2 * n_wrong)
    assert row["sink_mass"] == (0.25 + 1.0) / 2
    assert row["partly_active"]


def test_an_answer_that_ends_too_early_has_no_failing_step(answer):
    result = answer("a ", heads=[Head(2, 3)])
    (row,) = classify_errors(result).to_dict("records")
    assert row["n_failing"] == 0
    assert math.isnan(row["active_on_needle"])
    assert math.isnan(row["sink_mass"])
    assert not row["partly_active"]


def test_tables_equal_plain_loops(answer, otter_prompt):
    """Random answers and looks, counted row by row."""
    random = torch.Generator().manual_seed(3)
    texts = ["a violet boat", "ZZ otter", " seven crimson", "", "a viol"]
    n = len(otter_prompt.tokens)
    heads = [Head(2, 3), Head(1, 1)]
    looks = [
        {(h.layer, h.head): torch.randint(n, (40,), generator=random).tolist() for h in heads}
        for _ in texts
    ]
    result = answer(*texts, looks=looks, heads=heads)
    table = classify_errors(result).set_index("trial")
    (first, stop), prompt = otter_prompt.answer_span, otter_prompt.tokens.tolist()
    for trial in table.index:
        said = result.tokens["plain", trial].tolist()
        begin = first_failing_step(said, otter_prompt.answer_tokens.tolist())
        rows = result.activity[result.activity["trial"] == trial].to_dict("records")
        rows = [row for row in rows if row["step"] >= begin]
        assert table.loc[trial, "n_failing"] == len(said) - begin
        if not rows:
            assert math.isnan(table.loc[trial, "sink_mass"])
            continue
        needle = [first <= row["source"] < stop for row in rows]
        elsewhere = [
            row["source"] < n and prompt[row["source"]] == said[row["step"]] and not on
            for row, on in zip(rows, needle, strict=True)
        ]
        assert table.loc[trial, "active_on_needle"] == sum(needle) / len(rows)
        assert table.loc[trial, "active_elsewhere"] == sum(elsewhere) / len(rows)
        mean = sum(row["sink_mass"] for row in rows) / len(rows)
        assert table.loc[trial, "sink_mass"] == pytest.approx(mean, rel=double_rounding(len(rows)))
