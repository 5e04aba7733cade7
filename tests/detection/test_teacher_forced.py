import pytest
import reference
import torch
from planted import make_prompt
from tiny_models import ARCHITECTURES, HYBRIDS

from rh_lens.detection import teacher_forced_copy


@pytest.mark.parametrize("name", [*ARCHITECTURES, *HYBRIDS])
def test_equals_plain_loops_over_eager_attention(tiny_model, random_tokens, name):
    model = tiny_model(name)
    span = (33, 38)
    prompt = make_prompt(random_tokens.tolist(), span)
    share = teacher_forced_copy(model.bridge, prompt)
    fed = torch.cat([random_tokens, prompt.answer_tokens[:-1]])
    _, attention = model.reference_pass(fed)
    layers = [layer for layer, _ in model.bridge.blocks_with("attn")]
    for place, layer in enumerate(layers):
        for head in range(4):
            rows = attention[place, head, -5:].tolist()
            assert float(share[layer, head]) == reference.teacher_forced_score(rows, span)
    others = [layer for layer in range(len(share)) if layer not in layers]
    assert share[others].isnan().all()


def test_a_window_that_never_reaches_the_answer_has_no_share(tiny_model, random_tokens):
    prompt = make_prompt(random_tokens.tolist(), (5, 9))
    share = teacher_forced_copy(tiny_model("gemma3").bridge, prompt)
    assert share[:2].isnan().all()
    assert not share[2].isnan().any()


def test_a_head_that_always_looks_at_the_next_answer_token_has_share_one(llama, random_tokens):
    """Planted: L1H2 is aligned in all 5 rows, L0H1 in the first 3."""
    prompt = make_prompt(random_tokens.tolist(), (20, 25))

    def look(pattern, hook):
        n_query = pattern.shape[2]
        if n_query != 5:
            return None
        targets = {1: (2, [20, 21, 22, 23, 24]), 0: (1, [20, 21, 22, 22, 22])}
        head, positions = targets.get(hook.layer(), (0, []))
        planted = torch.zeros_like(pattern)
        planted[..., 0] = 1.0
        for row, position in enumerate(positions):
            planted[0, head, row] = 0.0
            planted[0, head, row, position] = 1.0
        return planted

    with llama.hooks(fwd_hooks=[(f"blocks.{layer}.attn.hook_pattern", look) for layer in range(3)]):
        share = teacher_forced_copy(llama, prompt)
    expected = torch.zeros(3, 4, dtype=torch.float64)
    expected[1, 2], expected[0, 1] = 1.0, 3 / 5
    assert torch.equal(share, expected)
