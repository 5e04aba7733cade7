"""Paths: all of them are the node, TransformerLens's where it has them, and planted ones."""

import pytest
import torch
from planted_circuit import IDLE, INDUCTION, PREVIOUS, SUPPRESSOR
from tolerances import assert_close, model_rounding
from transformer_lens import patching as tl_patching

from rh_lens.circuits import (
    PromptPair,
    answer_logit_difference,
    make_pairs,
    patch_heads,
    path_patch,
)
from rh_lens.heads import Head


def later(head, n_layers):
    return [Head(layer, h) for layer in range(head.layer + 1, n_layers) for h in range(4)]


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt-neox", "qwen3"])
@pytest.mark.parametrize("sender", [Head(0, 1), Head(1, 2)])
def test_all_paths_together_are_the_node(tiny_model, tiny_pair, name, sender):
    model = tiny_model(name).bridge
    paths = path_patch(
        model, tiny_pair, sender, later(sender, 3), mlps=range(sender.layer, 3), logits=True
    )
    node = patch_heads(model, tiny_pair, sender, rows="prompt")
    allowed = 10 * model_rounding(model, 160)
    torch.testing.assert_close(paths.values, node.values, rtol=0, atol=allowed)
    assert abs(node.effect) > allowed


@pytest.mark.parametrize(
    ("name", "via"), [("llama", "q"), ("gpt2", "q"), ("gpt2", "k"), ("gpt2", "v")]
)
def test_single_paths_are_transformer_lenss(tiny_model, tiny_pair, name, via):
    model, sender = tiny_model(name).bridge, Head(0, 2)
    answer, foil = tiny_pair.answer, tiny_pair.foil
    clean, corrupted = (
        torch.cat([tokens, answer[:-1]])[None]
        for tokens in (tiny_pair.clean.tokens, tiny_pair.corrupted)
    )
    with torch.no_grad():
        expected = tl_patching.get_act_patch_direct_path(
            model,
            corrupted,
            model.run_with_cache(clean)[1],
            model.run_with_cache(corrupted)[1],
            lambda logits: answer_logit_difference(logits[0, -len(answer) :], answer, foil),
            src_layer=sender.layer,
            src_head=sender.head,
            component=via,
            verbose=False,
        )
    for receiver in [Head(1, 0), Head(1, 3), Head(2, 2)]:
        found = path_patch(model, tiny_pair, sender, receiver, via=via)
        allowed = 40 * model_rounding(model, 160)
        torch.testing.assert_close(
            found.values[0, 0],
            expected[receiver.layer, receiver.head],
            rtol=allowed,
            atol=allowed,
        )


def test_the_direct_path_to_the_logits_is_added_behind_the_last_layer(llama, tiny_pair):
    found = path_patch(llama, tiny_pair, None, logits=True)
    assert list(found.sets) == [f"L{layer}H{head}" for layer in range(3) for head in range(4)]
    # Nothing lies between the last layer's heads and the logits but its MLP.
    both = path_patch(llama, tiny_pair, "L2H1", mlps=[2], logits=True)
    node = patch_heads(llama, tiny_pair, "L2H1", rows="prompt")
    torch.testing.assert_close(both.values, node.values, rtol=1e-3, atol=1e-3)
    assert found.values[0, -3] != node.values[0, 0]


def test_the_previous_token_head_feeds_the_induction_heads_keys(planted, planted_prompt):
    """What stood before the answer is another token: only keys of later heads learn of it."""
    start = planted_prompt.answer_span[0]
    tokens = planted_prompt.tokens.clone()
    tokens[start - 1] = 319
    pair = PromptPair(planted_prompt, tokens, "key", "319", planted_prompt.answer_tokens + 1)
    by_key = path_patch(planted, pair, None, [INDUCTION, SUPPRESSOR], via="k")
    assert by_key.top(1)[0][0] == PREVIOUS.label
    assert by_key.restored.max() > 0.9
    others = [by_key.by_head()[head.layer, head.head] for head in IDLE if head.layer == 0]
    assert max(abs(value) for value in others) < 1e-3
    for via in ("q", "v"):
        found = path_patch(planted, pair, PREVIOUS, [INDUCTION, SUPPRESSOR], via=via)
        assert abs(found.restored) < 1e-3


@pytest.mark.slow
def test_what_feeds_the_bundled_models_retrieval_heads(demo, demo_prompts, retrieval, others):
    """L0H6 and L0H7, which look back some ten tokens, make both keys and queries."""
    keys, questions = make_pairs(demo_prompts, "key"), make_pairs(demo_prompts, "question")
    for pairs, via in ((keys, "k"), (questions, "q")):
        found = path_patch(demo, pairs, None, retrieval, via=via)
        assert {name for name, _ in found.top(2)} == {"L0H6", "L0H7"}
        assert found.restored.topk(2).values.sum() > 0.7
        control = path_patch(demo, pairs, ["L0H6", "L0H7"], others, via=via)
        assert control.restored.abs().max() < 0.02


def test_paths_need_an_end_behind_their_start(llama, tiny_model, tiny_pair):
    with pytest.raises(ValueError, match="senders in layers before 1, which some receiver reads"):
        path_patch(llama, tiny_pair, "L1H0", "L1H2")
    with pytest.raises(ValueError, match="found no heads, no MLPs and logits=False"):
        path_patch(llama, tiny_pair, "L1H0")
    with pytest.raises(ValueError, match="found a norm after the attention in layer 0"):
        path_patch(tiny_model("gemma2").bridge, tiny_pair, "L0H0", logits=True)


def test_the_table_names_senders_receivers_and_input(llama, tiny_pair):
    found = path_patch(llama, tiny_pair, ["L0H0", "L0H3"], "L2H1", via="v", mlps=[1])
    table = found.to_dataframe()
    assert table.sender.tolist() == ["L0H0", "L0H3"]
    assert table.receivers.unique() == ["L2H1 L1 MLP"]
    assert table.via.unique() == ["v"]
    assert_close(torch.tensor(table.restored), found.restored, 1e-6)
