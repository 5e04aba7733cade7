"""Operators beside a recorder and the user's own hooks, drafted and stepwise, shared and not."""

import pytest
import torch
from intervention_cases import NEVER, prompts_of
from planted import make_prompt
from reference_operators import columns_times, output_projection, together
from tolerances import assert_largest, assert_same_sources, model_rounding, weight_rounding

from rh_lens.detection.capture import answer_recorder
from rh_lens.heads import Head
from rh_lens.interventions import (
    head_outputs,
    knock_out_edges,
    mean_ablation,
    mean_head_outputs,
    resample_ablation,
    scale_heads,
    uniform_attention,
    zero_ablation,
)
from rh_lens.runtime import PLAIN_EXECUTION, Condition, answer_prompts, greedy_decode, teacher_force

STEPS = 5


def every_operator(bridge, prompts):
    """Each operator on some heads of every layer with attention, in one scope or another."""
    layers = [layer for layer, _ in bridge.blocks_with("attn")]
    heads = [Head(layer, head) for layer in layers for head in (0, 2, 3)]
    donor = head_outputs(bridge, prompts[0]).draw(seed=1)
    cut = knock_out_edges(bridge, heads, [7, 8], keeps_all_keys=True)
    return {
        "plain": Condition(),
        "zero": Condition(zero_ablation(heads, model=bridge), "both"),
        "scale": Condition(scale_heads(heads, -2.0, model=bridge), "prefill"),
        "mean": Condition(mean_ablation(heads, mean_head_outputs(bridge, prompts)), "decode"),
        "resample": Condition(resample_ablation(heads, donor), "both"),
        "uniform": Condition(uniform_attention(bridge, heads), "both"),
        "cut": Condition(cut, "decode"),
    }


def answers(bridge, prompts, conditions, **options):
    """Tokens and sources of every condition and prompt."""
    recorders = {}

    def listen(name, index):
        recorders[name, index] = answer_recorder(bridge, prompts[index])
        return recorders[name, index].fwd_hooks()

    found = {}
    for said in answer_prompts(
        bridge, prompts, conditions, listen=listen, max_new_tokens=STEPS, stop=NEVER, **options
    ):
        for name, answer in said.items():
            rows = recorders[name, answer.index].result()
            sources = rows.answer_rows(len(prompts[answer.index].tokens), STEPS)
            found[name, answer.index] = answer.generation.tokens, sources
    return found


@pytest.mark.parametrize("name", ["gemma3", "deepseek-v3"])
def test_drafted_is_stepwise_and_shared_is_unshared_under_every_operator(tiny_model, name):
    bridge, (first, _, last) = tiny_model(name).bridge, prompts_of()
    prompts = [first, last, first]
    conditions = every_operator(bridge, prompts)
    fast = answers(bridge, prompts, conditions)
    slow = answers(bridge, prompts, conditions, execution=PLAIN_EXECUTION)
    assert len(fast) == 7 * 3
    for key, (tokens, sources) in fast.items():
        assert torch.equal(tokens, slow[key][0]), key
        allowed = weight_rounding(bridge, len(first.tokens) + STEPS)
        assert_same_sources(sources, slow[key][1], allowed)
    said = {name: tuple(fast[name, 0][0].tolist()) for name in conditions}
    assert len(set(said.values())) >= 5


def test_an_ablation_a_recorder_and_the_users_hooks_in_one_list(tiny_model, random_tokens):
    """The model does what a plain copy does whose weights are changed alike; each hook sees it."""
    model, seen = tiny_model("llama"), []
    bridge = model.bridge
    silenced, amplified = [Head(0, 1), Head(1, 2)], [Head(0, 3)]
    prompt = make_prompt(random_tokens.tolist(), (10, 14))
    recorder = answer_recorder(bridge, prompt)

    def users_own(mlp_out, hook):
        seen.append(mlp_out.shape[1])
        return mlp_out * 0.5

    def users_look(z, hook):
        assert (z[:, :, 1] == 0).all()
        assert (z[:, :, 2] != 0).any()

    with bridge.hooks(
        fwd_hooks=[
            ("blocks.1.hook_mlp_out", users_own),
            *zero_ablation(silenced),
            *scale_heads(amplified, 1.5),
            ("blocks.0.attn.hook_z", users_look),
            *recorder.fwd_hooks(),
        ]
    ):
        tokens = greedy_decode(bridge, random_tokens, max_new_tokens=STEPS, stop=NEVER).tokens
    assert bridge.list_hooks() == {}
    assert seen == [39] + [1] * STEPS

    operator = together(columns_times(0.0, silenced), columns_times(1.5, amplified))
    handle = model.reference.model.layers[1].mlp.register_forward_hook(lambda m, i, out: out * 0.5)
    with operator(model.reference):
        logits, attention = model.reference_pass(torch.cat([random_tokens, tokens])[:-1])
    handle.remove()
    n_tokens = 40 + STEPS
    allowed = model_rounding(bridge, n_tokens) * float(logits.abs().max())
    assert_largest(tokens, logits[39:], allowed)
    found = recorder.result().answer_rows(40, STEPS).source
    rows = attention[:, :, 39:].permute(2, 0, 1, 3)
    assert_largest(found, rows, weight_rounding(bridge, n_tokens))


def test_heads_silenced_in_two_lists_are_those_of_one_list(llama, random_tokens):
    heads = [Head(0, 1), Head(1, 2), Head(1, 3)]
    at_once = zero_ablation(heads)
    one_by_one = [hook for head in heads for hook in zero_ablation([head])]

    def logits(hooks):
        return teacher_force(
            llama, random_tokens, random_tokens[:4], prefill_hooks=hooks, decode_hooks=hooks
        )

    assert torch.equal(logits(at_once), logits(one_by_one))
    assert not torch.equal(logits(at_once), logits([]))


def test_the_last_of_two_operators_on_a_head_holds(llama, random_tokens):
    means = mean_head_outputs(llama, [make_prompt(random_tokens.tolist(), (10, 14))])
    head, kept = Head(1, 2), []
    looking = ("blocks.1.attn.hook_z", lambda z, hook: kept.append(z[0, 0, 2].clone()))
    for hooks in (
        [*zero_ablation([head]), *mean_ablation([head], means)],
        [*mean_ablation([head], means), *zero_ablation([head])],
    ):
        with llama.hooks(fwd_hooks=[*hooks, looking]):
            llama(random_tokens[None])
    assert torch.equal(kept[0], means.values[1][0, 2].float())
    assert torch.equal(kept[1], torch.zeros(8))


@pytest.mark.parametrize("name", ["llama", "mistral-window", "gpt2", "deepseek-v3"])
def test_operators_without_heads_change_no_bit(tiny_model, random_tokens, name):
    bridge = tiny_model(name).bridge
    outputs = head_outputs(bridge, make_prompt(random_tokens.tolist(), (10, 14)))
    hooks = [
        *zero_ablation([]),
        *scale_heads([], 2.0),
        *mean_ablation([], outputs.mean()),
        *resample_ablation([], outputs),
        *uniform_attention(bridge, []),
        *knock_out_edges(bridge, [], (10, 14)),
    ]
    assert hooks == []
    plain = teacher_force(bridge, random_tokens, random_tokens[:4])
    recorder = answer_recorder(bridge, make_prompt(random_tokens.tolist(), (10, 14)))
    observed = teacher_force(
        bridge,
        random_tokens,
        random_tokens[:4],
        prefill_hooks=hooks,
        decode_hooks=[*hooks, *recorder.fwd_hooks()],
    )
    assert torch.equal(plain, observed)


def test_operators_leave_the_weights_alone(tiny_model, random_tokens):
    model = tiny_model("llama")
    with model.bridge.hooks(fwd_hooks=zero_ablation([Head(0, 1)])):
        model.bridge(random_tokens[None])
    ours = model.bridge.blocks[0].attn.o.original_component.weight
    assert torch.equal(ours, output_projection(model.reference, 0).weight)
