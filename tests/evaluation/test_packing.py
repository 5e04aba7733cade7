"""Packed prompts are compared with one needle each before they are taken."""

import pytest
import torch

from rh_lens.demo import load_demo_model
from rh_lens.evaluation import check_packing, choose_grid, grid_choice, packing
from rh_lens.prompts import (
    build_grid,
    build_packed_grid,
    default_needles,
    synthetic_haystack,
)


@pytest.fixture(scope="module")
def model():
    return load_demo_model()


@pytest.fixture(scope="module")
def grids(model):
    """Four needles at four depths, alone and packed, in one order."""
    needles = default_needles()[4:8]
    options = {"context_lengths": 256, "depths": 4}
    packed = build_packed_grid(model.tokenizer, synthetic_haystack(), needles, **options)
    plain = build_grid(model.tokenizer, synthetic_haystack(), needles, **options)
    cells = {(prompt.needle, prompt.requested_depth): prompt for prompt in plain}
    return [cells[prompt.needle, prompt.requested_depth] for prompt in packed], packed


def test_a_model_that_retrieves_every_needle_is_not_changed_by_companions(model, grids):
    check = check_packing(model, *grids, progress=False)
    assert check.same
    assert check.accepted == (1.0, 1.0)
    assert (check.acceptance.mean, check.n_prompts, check.n_together) == (0.0, 16, 4)
    assert check.correlation > 0.999
    assert set(check.heads["label"]) == {"L2H2", "L2H3", "L2H4", "L2H5"}
    assert (check.heads["difference"].abs() < 0.05).all()
    assert check.record()["differences"] == []


def test_a_change_beyond_the_margin_is_told(model, grids, monkeypatch):
    """Packed answers without a word are rejected: acceptance falls from 1 to 3/4."""
    alone, packed = grids
    real = packing.detect_retrieval_heads

    def detect(model, prompts, **options):
        result = real(model, prompts, **options)
        if prompts[0] is not packed[0]:
            return result
        for trial in result.trials[::4]:
            object.__setattr__(trial, "accepted", False)
        return result

    monkeypatch.setattr(packing, "detect_retrieval_heads", detect)
    check = check_packing(model, alone, packed, progress=False)
    assert not check.same
    assert check.accepted == (1.0, 0.75)
    assert check.differences == ("acceptance goes from 1.00 to 0.75",)
    assert "differs by more than 0.05: acceptance goes from 1.00 to 0.75" in check.text


def test_random_weights_retrieve_nothing_so_nothing_can_be_compared(llama, otter_prompt):
    check = check_packing(llama, [otter_prompt], [otter_prompt], progress=False)
    assert check.differences == ("no prompt is accepted, so that nothing can be compared",)
    assert check.heads.empty
    assert torch.isnan(torch.tensor(check.correlation))


@pytest.mark.slow
def test_auto_takes_fewer_needles_a_haystack_where_all_of_them_change_answers(model):
    """With all twelve, the lighthouse keeper's password is taken for a motto; not with four."""
    options = {"context_lengths": 1024, "progress": False}
    choice = choose_grid(model, synthetic_haystack(), default_needles(), **options)
    assert [check.n_together for check in choice.checks] == [12, 4]
    assert [check.same for check in choice.checks] == [False, True]
    assert choice.is_packed
    assert choice.record()["needles_per_context"] == 4
    assert "accepted 1.00 / 0.92" in choice.checks[0].text


def test_a_choice_without_a_check(model):
    haystack = synthetic_haystack(n_sentences=40)
    options = {"context_lengths": 160, "depths": 3}
    needles = default_needles()[:2]
    grid = choose_grid(model, haystack, needles, packed="never", **options)
    assert (grid.is_packed, len(grid.prompts), grid.checks) == (False, 6, ())
    grid = choose_grid(model, haystack, needles, packed="always", **options)
    assert (grid.is_packed, len(grid.prompts), grid.n_together) == (True, 6, 2)


def test_refusals(model, grids):
    alone, packed = grids
    with pytest.raises(ValueError, match="about the same needles in the same order"):
        check_packing(model, alone[:3], packed[:2])


@pytest.mark.parametrize(("together", "n_prompts"), [(2, 6), (1, 6)])
def test_an_earlier_choice_is_followed_without_a_check(model, monkeypatch, together, n_prompts):
    monkeypatch.setattr(grid_choice, "check_packing", lambda *a, **k: pytest.fail("was checked"))
    haystack = synthetic_haystack(n_sentences=40)
    options = {"context_lengths": 160, "depths": 3}
    earlier = {"asked_together": together, "checks": [{"n_prompts": 24}]}
    grid = choose_grid(model, haystack, default_needles()[:2], earlier=earlier, **options)
    assert (grid.is_packed, len(grid.prompts)) == (together > 1, n_prompts)
    assert {name: grid.record()[name] for name in earlier} == earlier
