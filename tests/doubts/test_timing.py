"""When heads act, and what their looks foretell: planted answers with known causes."""

import pytest
import torch
from made_rows import LENGTH, START, made_rows, random_looks
from planted_circuit import IDLE, INDUCTION

from rh_lens.doubts import StepEffects, copy_gain, step_effects
from rh_lens.heads import Head

STEPS = torch.arange(LENGTH)
VOCAB = 400


def test_the_copying_head_writes_in_the_tokens_own_row(planted, prompts):
    found = step_effects(planted, prompts, [INDUCTION])
    assert found.at_lag(0).low > 1
    assert found.at_lag(1).mean == pytest.approx(0, abs=1e-3)
    assert found.excess().low > 1
    for lost in found.lost:
        # A silent row changes nothing that was said before it.
        assert float(lost.tril(-1).abs().max()) < 1e-4
    idle = step_effects(planted, prompts[:2], [IDLE[-1]])
    assert idle.at_lag(0).mean == pytest.approx(0, abs=1e-4)


def test_effects_at_a_lag_are_diagonals():
    lost = torch.zeros(3, 3, dtype=torch.float64)
    lost[0, 1] = lost[1, 2] = 2.0
    found = StepEffects((lost, lost + 0.0), ("a", "b"))
    assert [found.at_lag(lag).mean for lag in (0, 1, 2)] == [0.0, 2.0, 0.0]
    assert found.excess().mean == -2.0


def recorded(seed, copier=None):
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for name in "abcdefgh":
        looks = random_looks(generator)
        # What is said does not follow the prompt's order: no going on from the last token.
        order = torch.randperm(LENGTH, generator=generator)
        if copier is not None:
            looks[:, 0, copier] = START + order
        row = made_rows(looks, name)
        rows.append(made_rows(looks, name, said=row.prompt.answer_tokens[order]))
    return rows


def test_looks_that_foretell_the_token_have_a_gain():
    found = copy_gain(recorded(1, copier=2), [(0, 2)], d_vocab=VOCAB)
    assert found.gain().low > 1
    assert found.weights[3] > 0.9


def test_going_on_from_the_last_token_is_no_gain_of_the_heads():
    rows = []
    for name in "abcdefgh":
        looks = torch.zeros(LENGTH, 1, 4, dtype=torch.long)
        looks[:, 0, 2] = START + STEPS
        row = made_rows(looks, name)
        # The prompt ends with the token before the answer: every token can be foretold.
        row.prompt.tokens[-1] = row.prompt.tokens[START - 1]
        rows.append(row)
    gain = copy_gain(rows, [(0, 2)], d_vocab=VOCAB).gain()
    assert gain.mean < 0.05


def test_heads_that_look_alike_have_no_gain_over_each_other():
    generator = torch.Generator().manual_seed(5)
    rows = []
    for name in "abcdefgh":
        order = torch.randperm(LENGTH, generator=generator)
        looks = (START + order)[:, None, None].expand(LENGTH, 1, 4).clone()
        said = made_rows(looks, name).prompt.answer_tokens[order]
        rows.append(made_rows(looks, name, said=said))
    assert copy_gain(rows, [(0, 1)], d_vocab=VOCAB).gain().mean < 0.05


@pytest.mark.slow
def test_looks_at_random_have_no_gain_at_the_level():
    wrong = sum(
        copy_gain(recorded(seed), [Head(0, 1)], d_vocab=VOCAB).gain(level=0.9).low > 0
        for seed in range(40)
    )
    # A one-sided error of 0.05 is expected in 2 of 40; 7 or more would be one in a hundred.
    assert wrong < 7


def test_one_needle_is_not_enough():
    with pytest.raises(ValueError, match="1 needles"):
        copy_gain(recorded(1)[:1], [(0, 2)], d_vocab=VOCAB)
