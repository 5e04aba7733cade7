import pytest
import torch

from rh_lens.heads import Head
from rh_lens.interventions import HeadTraits, NoControlsError, control_heads, head_traits

RETRIEVAL = [Head(2, 4), Head(2, 5), Head(2, 3), Head(2, 2)]
DEMO = {"n_layers": 4, "n_heads": 8}


@pytest.fixture
def traits():
    """Norms 0, 1, ..., 31 in reading order; entropies the other way round."""
    norm = torch.arange(32.0, dtype=torch.float64).reshape(4, 8)
    return HeadTraits(norm, 31 - norm, n_rows=1)


def test_every_partner_is_among_the_nearest_free_heads(traits):
    found = control_heads(RETRIEVAL, match="norm", n_draws=30, traits=traits, **DEMO)
    assert len(set(found.draws)) == 30
    assert found.n_possible is None
    for draw in found.draws:
        assert not set(draw) & set(RETRIEVAL)
        # The heads of norms 18 to 21: with four partners taken, the nearest five end at 7 away.
        assert all(abs(float(traits.norm[h.layer, h.head]) - 19.5) <= 7.5 for h in draw)
    assert found == control_heads(RETRIEVAL, match="norm", n_draws=30, traits=traits, **DEMO)


def test_means_tell_how_well_they_match(traits):
    assert traits.mean(RETRIEVAL) == {"norm": 19.5, "entropy": 11.5}
    table = traits.to_dataframe()
    assert table.columns.tolist() == ["layer", "head", "label", "norm", "entropy"]
    assert table.loc[9, "label"] == "L1H1"


def test_few_neighbours_are_noted_and_too_few_refused(traits):
    most = [Head(layer, head) for layer in range(4) for head in range(8)][:26]
    found = control_heads(
        RETRIEVAL[:1], match="entropy", n_draws=10, traits=traits, exclude=most, **DEMO
    )
    # Of the six free heads the nearest five are drawn from.
    assert len(found.draws) == 5
    assert found.note == "only 5 control sets matched by entropy of 10 asked for"
    with pytest.raises(NoControlsError, match=r"26 in the model, found 6\. Take fewer heads"):
        control_heads(most, match="norm", traits=traits, **DEMO)


def test_traits_must_be_given():
    with pytest.raises(ValueError, match=r'Expected traits for match="norm"; found None'):
        control_heads(RETRIEVAL, match="norm", **DEMO)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
def test_norm_and_entropy_are_those_of_a_plain_forward_pass(name, tiny_model, otter_prompt):
    bridge = tiny_model(name).bridge
    found = head_traits(bridge, [otter_prompt])
    tokens = torch.cat([otter_prompt.tokens, otter_prompt.answer_tokens])[None]
    n_answer = len(otter_prompt.answer_tokens)
    rows = slice(len(otter_prompt.tokens) - 1, len(otter_prompt.tokens) + n_answer - 1)
    _, cache = bridge.run_with_cache(tokens)
    assert found.n_rows == n_answer
    for layer in range(bridge.cfg.n_layers):
        z = cache[f"blocks.{layer}.attn.hook_z"][0, rows]
        written = torch.einsum("phd,hdm->phm", z, bridge.blocks[layer].attn.W_O)
        torch.testing.assert_close(
            found.norm[layer].float(), written.norm(dim=-1).mean(0), rtol=1e-4, atol=1e-6
        )
        attention = cache[f"blocks.{layer}.attn.hook_pattern"][0, :, rows].double()
        entropy = -(attention * attention.clamp_min(1e-300).log()).sum(-1).mean(1)
        torch.testing.assert_close(found.entropy[layer], entropy, rtol=1e-4, atol=1e-4)


def test_prompts_are_needed(tiny_model):
    with pytest.raises(ValueError, match="prompts to have 1 or more entries; found 0"):
        head_traits(tiny_model("llama").bridge, [])
