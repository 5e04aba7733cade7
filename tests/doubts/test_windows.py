"""A head that must see far, and one that need not."""

import pytest
import torch
from planted_circuit import IDLE, INDUCTION, PREVIOUS

from rh_lens.doubts import sliding_window, window_curve


def pattern_under(model, tokens, hooks, layer):
    seen = []
    listen = (
        f"blocks.{layer}.attn.hook_pattern",
        lambda pattern, hook: seen.append(pattern.detach()[0].clone()),
    )
    model.run_with_hooks(tokens[None], fwd_hooks=[*hooks, listen])
    return seen[0]


def test_rows_see_the_last_tokens_and_the_first(planted, prompts):
    tokens = prompts[0].tokens
    hooks = sliding_window(planted, [IDLE[-1]], 5)
    found = pattern_under(planted, tokens, hooks, IDLE[-1].layer)
    plain = pattern_under(planted, tokens, [], IDLE[-1].layer)
    own = found[IDLE[-1].head]
    row, key = torch.arange(len(tokens))[:, None], torch.arange(len(tokens))
    seen = (row >= key) & ((row - key < 5) | (key == 0))
    assert (own[~seen] == 0).all()
    assert (own[seen] > 0).all()
    torch.testing.assert_close(own.sum(-1), torch.ones(len(tokens)))
    others = [h for h in range(4) if h != IDLE[-1].head]
    assert found[others].equal(plain[others])


def test_the_copying_head_must_see_the_needle_and_idle_ones_need_not(planted, prompts):
    far = prompts[:1]
    found = window_curve(planted, far, [INDUCTION], [2, 12, 60, 100])
    assert found.widths == (2, 12, 60, 100)
    assert found.distance == (45,)
    assert found.hiding == [2, 12]
    assert found.lost(12).mean > 1
    # Its feeder looks one token back, the suppressor is one of the others.
    assert found.lost(12, "others").mean < 0.1
    assert found.lost(100).mean == pytest.approx(0, abs=1e-4)
    idle = window_curve(planted, far, [IDLE[-1]], [12])
    assert idle.lost(12).mean == pytest.approx(0, abs=1e-4)


@pytest.mark.slow
def test_a_head_that_looks_one_token_back_needs_a_window_of_two(planted, prompts):
    found = window_curve(planted, prompts[:2], [PREVIOUS], [1, 2])
    assert found.lost(1).mean > 1
    assert found.lost(2).mean == pytest.approx(0, abs=1e-2)
    assert list(found.to_dataframe()["width"]) == [1, 2]


def test_architectures_that_discard_edits_are_refused(tiny_model):
    with pytest.raises(ValueError, match="discards such edits"):
        sliding_window(tiny_model("opt").bridge, [(0, 0)], 4)
