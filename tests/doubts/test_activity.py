"""Activity that the context foretells, activity at random, and a sink at failing steps."""

import dataclasses

import pytest
import torch
from made_rows import LENGTH, START, made_rows, random_looks

from rh_lens.doubts import predict_activity, sink_at_failures
from rh_lens.heads import Head

STEPS = torch.arange(LENGTH)
NAMES = "abcdefgh"


def recorded(seed, active):
    """Head 1 copies in the steps that `active` names, head 2 in steps at random."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for name in NAMES:
        looks = random_looks(generator)
        for head, chosen in ((1, active(STEPS)), (2, torch.rand(6, generator=generator) < 0.4)):
            looks[:, 0, head] = torch.where(chosen, START + STEPS, torch.zeros_like(STEPS))
        rows.append(made_rows(looks, name))
    return rows


def test_a_head_of_the_first_steps_is_foretold_and_one_at_random_is_not(tiny_tokenizer):
    rows = recorded(1, lambda steps: steps < 3)
    found = predict_activity(rows, [(0, 1), (0, 2)], tiny_tokenizer)
    assert found.rate[Head(0, 1)] == pytest.approx(0.5)
    assert found.gain(Head(0, 1)).low > 0.3
    assert found.gain(Head(0, 2)).low < 0.0
    table = found.to_dataframe().set_index("head")
    assert table.loc["L0H1", "strongest"] == "place in answer"
    assert table.loc["L0H1", "weight"] < 0


@pytest.mark.slow
def test_activity_at_random_is_foretold_at_the_level_only(tiny_tokenizer):
    wrong = sum(
        predict_activity(recorded(seed, lambda s: s < 0), [(0, 2)], tiny_tokenizer)
        .gain(Head(0, 2), level=0.9)
        .low
        > 0
        for seed in range(24)
    )
    # 1.2 of 24 are expected; 5 or more would be one in a hundred.
    assert wrong < 5


def test_two_needles_are_not_enough(tiny_tokenizer):
    rows = recorded(1, lambda steps: steps < 3)[:2]
    with pytest.raises(ValueError, match="2 needles"):
        predict_activity(rows, [(0, 1)], tiny_tokenizer)


def failing(name, sink_wrong, sink_right, generator, n_right=3):
    """An answer that goes wrong at a step, with so much attention on the first token."""
    looks = random_looks(generator)
    row = made_rows(looks, name)
    said = row.prompt.answer_tokens.clone()
    said[n_right:] = 7
    sink = torch.full(looks.shape, sink_right) + 0.02 * torch.rand(looks.shape, generator=generator)
    sink[n_right:] += sink_wrong - sink_right
    return dataclasses.replace(
        row, said=said, sources=dataclasses.replace(row.sources, sink_mass=sink)
    )


def test_a_sink_at_failing_steps_is_found_with_its_size():
    generator = torch.Generator().manual_seed(2)
    rows = [failing(name, 0.6, 0.1, generator) for name in NAMES]
    found = sink_at_failures(rows, [(0, 0), (0, 1)])
    assert found.low > 0.4
    assert found.mean == pytest.approx(0.5, abs=0.02)


@pytest.mark.slow
def test_no_more_sink_at_failing_steps_is_called_so_at_the_level():
    generator = torch.Generator().manual_seed(3)
    wrong = sum(
        sink_at_failures(
            [failing(name, 0.1, 0.1, generator) for name in NAMES], [(0, 0)], level=0.9
        ).low
        > 0
        for _ in range(30)
    )
    # 1.5 of 30 are expected; 6 or more would be one in a hundred.
    assert wrong < 6


def test_right_answers_alone_say_nothing_of_failures():
    generator = torch.Generator().manual_seed(4)
    rows = [failing(name, 0.1, 0.1, generator, n_right=LENGTH) for name in NAMES]
    with pytest.raises(ValueError, match="found 0 and 8 needles"):
        sink_at_failures(rows, [(0, 0)])
