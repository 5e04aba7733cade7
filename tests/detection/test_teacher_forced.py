import pytest
import reference
import torch
from planted import make_prompt
from tiny_models import ARCHITECTURES, HYBRIDS

from rh_lens.detection import (
    detect_retrieval_heads,
    fed_attention,
    forced_shares,
    teacher_forced_copy,
)


@pytest.mark.parametrize("name", [*ARCHITECTURES, *HYBRIDS])
def test_equals_plain_loops_over_eager_attention(tiny_model, random_tokens, name):
    model = tiny_model(name)
    span = (33, 38)
    prompt = make_prompt(random_tokens.tolist(), span)
    shares = forced_shares(model.bridge, prompt)
    share, fed_share = shares["teacher-forced"], shares["fed-attention"]
    fed = torch.cat([random_tokens, prompt.answer_tokens[:-1]])
    logits, attention = model.reference_pass(fed)
    choices = logits[-5:].argmax(dim=-1).tolist()
    layers = [layer for layer, _ in model.bridge.blocks_with("attn")]
    for place, layer in enumerate(layers):
        for head in range(4):
            rows = attention[place, head, -5:].tolist()
            assert float(fed_share[layer, head]) == reference.fed_attention_score(rows, span)
            assert float(share[layer, head]) == reference.teacher_forced_score(
                rows, choices, random_tokens.tolist(), span
            )
    others = [layer for layer in range(len(share)) if layer not in layers]
    assert share[others].isnan().all()


def test_a_window_that_never_reaches_the_answer_has_no_share(tiny_model, random_tokens):
    prompt = make_prompt(random_tokens.tolist(), (5, 9))
    share = teacher_forced_copy(tiny_model("gemma3").bridge, prompt)
    assert share[:2].isnan().all()
    assert not share[2].isnan().any()


def look(pattern, hook):
    """Planted: L1H2 looks at the next answer token in all 5 rows, L0H1 in the first 3."""
    if pattern.shape[2] != 5:
        return None
    targets = {1: (2, [20, 21, 22, 23, 24]), 0: (1, [20, 21, 22, 22, 22])}
    head, positions = targets.get(hook.layer(), (0, []))
    planted = torch.zeros_like(pattern)
    planted[..., 0] = 1.0
    for row, position in enumerate(positions):
        planted[0, head, row] = 0.0
        planted[0, head, row, position] = 1.0
    return planted


LOOK = [(f"blocks.{layer}.attn.hook_pattern", look) for layer in range(3)]


def choosing(tokens):
    """A hook that has the model choose these tokens in the answer's pass."""

    def choose(logits, hook):
        if logits.shape[1] != len(tokens):
            return None
        chosen = torch.zeros_like(logits)
        chosen[0, range(len(tokens)), tokens] = 1.0
        return chosen

    return [("unembed.hook_out", choose)]


def test_a_copy_counts_only_where_the_model_chooses_the_token(llama, random_tokens):
    """It chooses the right token in rows 0, 2 and 4."""
    prompt = make_prompt(random_tokens.tolist(), (20, 25))
    choices = [t if place % 2 == 0 else t + 1 for place, t in enumerate(prompt.answer_tokens)]
    with llama.hooks(fwd_hooks=[*LOOK, *choosing([int(token) for token in choices])]):
        share = teacher_forced_copy(llama, prompt)
        fed = fed_attention(llama, prompt)
    expected = torch.zeros(3, 4, dtype=torch.float64)
    expected[1, 2], expected[0, 1] = 1.0, 3 / 5
    assert torch.equal(fed, expected)
    expected[1, 2], expected[0, 1] = 3 / 5, 2 / 5
    assert torch.equal(share, expected)


def test_a_model_that_retrieves_nothing_gives_no_head_a_score(llama, otter_prompt):
    """Its heads look at the answer's tokens now and then all the same."""
    result = detect_retrieval_heads(llama, [otter_prompt], score="teacher-forced", progress=False)
    assert result.accepted == ()
    assert (result.scores.values == 0).all()
    assert result.score("fed-attention").values.max() > 0.1


def test_a_model_that_copies_has_equal_scores(llama, random_tokens):
    prompt = make_prompt(random_tokens.tolist(), (20, 25))
    with llama.hooks(fwd_hooks=[*LOOK, *choosing(prompt.answer_tokens.tolist())]):
        shares = forced_shares(llama, prompt)
    assert torch.equal(shares["teacher-forced"], shares["fed-attention"])
    assert shares["teacher-forced"][1, 2] == 1
