"""Hooks that see their own rows only, and change nothing else."""

from types import SimpleNamespace

import pytest
import torch

from rh_lens.runtime.row_hooks import OwnRows, hooks_on_rows

Z, PATTERN = "blocks.0.attn.hook_z", "blocks.0.attn.hook_pattern"


def call(hooks, name, tensor):
    """The tensor after all hooks at a point."""
    for place, function in hooks:
        if place == name:
            edited = function(tensor, hook=SimpleNamespace(name=name))
            tensor = tensor if edited is None else edited
    return tensor


def add(n):
    return lambda tensor, hook: tensor + n


def test_each_owner_edits_its_own_part_and_the_tensor_stays():
    one = OwnRows([(Z, add(1.0)), (Z, add(10.0))], positions=(slice(None), slice(0, 2)))
    other = OwnRows([(Z, add(100.0))], positions=(slice(None), slice(2, 3)))
    tensor = torch.zeros(1, 4)
    found = call(hooks_on_rows([one, other]), Z, tensor)
    assert found.tolist() == [[11.0, 11.0, 100.0, 0.0]]
    assert tensor.tolist() == [[0.0] * 4]


def test_at_patterns_the_part_may_be_a_choice_of_keys():
    keys = torch.tensor([0, 3])
    own = OwnRows([(PATTERN, add(1.0))], keys=(slice(None), slice(None), slice(1, 2), keys))
    found = call(hooks_on_rows([own]), PATTERN, torch.zeros(1, 1, 2, 4))
    assert found[0, 0].tolist() == [[0.0] * 4, [1.0, 0.0, 0.0, 1.0]]


@pytest.mark.parametrize("n_before", [0, 1, 3])
def test_keys_that_begin_with_the_first_ones_are_the_same_part(n_before):
    pattern = torch.rand(1, 2, 4, 9, generator=torch.Generator().manual_seed(0))
    part, seen = (slice(None), slice(None), slice(1, 3), torch.tensor([0, 1, 2, 5, 8])), []

    def look(tensor, hook):
        seen.append(tensor.clone())
        return tensor + 1.0

    found = call(hooks_on_rows([OwnRows([(PATTERN, look)], keys=part, n_before=n_before)]),
                 PATTERN, pattern)  # fmt: skip
    assert seen[0].equal(pattern[part])
    assert found[part].equal(pattern[part] + 1.0)
    assert (found != pattern).sum() == pattern[part].numel()


def test_what_only_looks_changes_nothing_and_who_has_left_is_not_called():
    seen = []

    def look(tensor, hook):
        seen.append(tensor.tolist())

    owners = [OwnRows([(Z, look)], positions=(slice(row, row + 1),)) for row in (0, 1)]
    hooks = hooks_on_rows(owners)
    ((_, function),) = hooks
    tensor = torch.tensor([[1.0], [2.0]])
    assert function(tensor, hook=SimpleNamespace(name=Z)) is None
    del owners[0]
    call(hooks, Z, tensor)
    assert seen == [[[1.0]], [[2.0]], [[2.0]]]
