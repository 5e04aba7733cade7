"""Conditions that share their passes answer, and look, as each would alone."""

import pytest
import torch
from running import NEVER, STEPS, grid
from tolerances import assert_same_sources, weight_rounding

from rh_lens.detection import answer_recorder
from rh_lens.heads import Head
from rh_lens.interventions import knock_out_edges, uniform_attention, zero_ablation
from rh_lens.runtime import Condition, Execution, answer_prompts, greedy_decode, open_context
from rh_lens.runtime.generation import Asked, GenerationUnderWay
from rh_lens.runtime.speculation import Draft
from rh_lens.runtime.tree_attention import Branch, _passes, can_share_passes, decode_branches

FORKED = ["llama", "qwen2", "qwen3", "gpt-neox", "yarn"]
ALONE = ["mistral-window", "gemma3", "gpt-oss", "lfm2", "dynamic", "longrope", "bloom", "opt"]


def conditions(bridge, prompt):
    heads = [Head(1, 2), Head(2, 0)]
    return {
        "plain": (),
        "zero": zero_ablation(heads),
        "layer": zero_ablation(Head(1, head) for head in range(4)),
        "uniform": uniform_attention(bridge, heads),
        "cut": knock_out_edges(bridge, heads, prompt.answer_span, keeps_all_keys=True),
    }


def context_of(bridge, prompt, prefill="auto"):
    return open_context(bridge, prompt.tokens, longest=100, execution=Execution(prefill=prefill))


def rows_of(recorder, prompt, generation):
    return recorder.result().answer_rows(len(prompt.tokens), len(generation.tokens))


@pytest.mark.parametrize("name", FORKED)
@pytest.mark.parametrize("prefill", [pytest.param("whole", marks=pytest.mark.slow), "sdpa"])
def test_tokens_and_sources_are_those_of_each_condition_alone(tiny_model, name, prefill):
    """With a guess whose half is right, so that refused rows of some stand between the others."""
    bridge, prompt = tiny_model(name).bridge, grid()[1]
    context = context_of(bridge, prompt, prefill)
    alone, recorders, asked = {}, {}, {}
    for condition, hooks in conditions(bridge, prompt).items():
        recorder = answer_recorder(bridge, prompt)
        said = greedy_decode(
            bridge,
            prompt.tokens,
            max_new_tokens=STEPS,
            stop=NEVER,
            decode_hooks=[*hooks, *recorder.fwd_hooks()],
            execution=Execution(prefill="whole"),
        )
        alone[condition] = said, rows_of(recorder, prompt, said)
        recorders[condition] = answer_recorder(bridge, prompt)
        guess = [*alone["plain"][0].said[:4], 5, 6, 7]
        answer = GenerationUnderWay(
            bridge.tokenizer, int(prompt.tokens[-1]), STEPS, NEVER, Draft(guesses=(guess,))
        )
        asked[condition] = Asked(answer, (), [*hooks, *recorders[condition].fwd_hooks()])
    assert can_share_passes(context, [one.decode_hooks for one in asked.values()], prompt.tokens)
    found = decode_branches(context, prompt.tokens.tolist(), asked)
    assert context.tokens == prompt.tokens[:-1].tolist()
    assert list(found) == list(alone)
    for condition, (said, sources) in alone.items():
        assert found[condition].said == said.said
        rows = rows_of(recorders[condition], prompt, said)
        allowed = weight_rounding(bridge, len(prompt.tokens) + STEPS)
        assert_same_sources(rows, sources, allowed)
        assert torch.allclose(rows.weight, sources.weight, rtol=0, atol=allowed)
        assert torch.allclose(rows.needle_mass, sources.needle_mass, rtol=0, atol=allowed)
    assert len({said.said for said, _ in alone.values()}) > 1
    assert found["plain"].n_passes < STEPS


@pytest.mark.parametrize("name", ALONE)
def test_models_whose_rows_cannot_stand_side_by_side_answer_one_by_one(tiny_model, name):
    bridge, prompt = tiny_model(name).bridge, grid()[0]
    context = context_of(bridge, prompt)
    assert not can_share_passes(context, [(), zero_ablation([Head(1, 0)])], prompt.tokens)


def test_hooks_whose_axes_are_unknown_or_that_are_open_are_not_forked(llama):
    prompt = grid()[0]
    context = context_of(llama, prompt)
    zero = zero_ablation([Head(1, 2)])
    assert can_share_passes(context, [(), zero], prompt.tokens)
    assert not can_share_passes(context, [zero], prompt.tokens)
    other = [("blocks.1.hook_mlp_out", lambda tensor, hook: None)]
    assert not can_share_passes(context, [zero, other], prompt.tokens)
    everywhere = [(lambda name: name.endswith("hook_z"), lambda tensor, hook: None)]
    assert not can_share_passes(context, [zero, everywhere], prompt.tokens)
    with llama.hooks(fwd_hooks=other):
        assert not can_share_passes(context, [(), zero], prompt.tokens)


def test_an_answer_without_room_is_refused(llama):
    (prompt,) = grid()[:1]
    two = {"plain": Condition(scope="decode"), "zero": Condition(zero_ablation([Head(1, 0)]))}
    with pytest.raises(ValueError, match="max_new_tokens to be a whole number from 1 to"):
        list(answer_prompts(llama, [prompt], two, max_new_tokens=0, stop=NEVER))


def test_twenty_conditions_take_as_many_passes_as_one(llama):
    """6 steps without guesses: 6 passes of 20 rows, not 120 of one."""
    (prompt,) = grid()[:1]
    rows = []

    def note(z, hook):
        rows.append(z.shape[1])

    many = {f"draw {i}": Condition(zero_ablation([Head(1, i % 4)]), "decode") for i in range(19)}
    many["noted"] = Condition([("blocks.0.attn.hook_z", note)], "decode")
    handle = llama.blocks[0].mlp.register_forward_hook(
        lambda module, args, output: rows.append(("pass", args[0].shape[1]))
    )
    try:
        answers = list(
            answer_prompts(
                llama,
                [prompt],
                many,
                max_new_tokens=STEPS,
                stop=NEVER,
                execution=Execution(speculate=False),
            )
        )
    finally:
        handle.remove()
    assert [len(together) for together in answers] == [20]
    assert [n for n in rows if n == 1] == [1] * STEPS
    assert [n for n in rows if n == ("pass", 20)] == [("pass", 20)] * STEPS


def test_a_pass_has_no_more_rows_than_a_chunk():
    """Five branches of 1 + 3 tokens in passes of ten rows: two, two and one."""
    branches = [
        Branch(GenerationUnderWay(None, 7, 32, NEVER, Draft(guesses=([1, 2, 3],))), ())
        for _ in range(5)
    ]
    sizes = [[len(own) for own in tokens] for _, tokens in _passes(branches, 10)]
    assert sizes == [[4, 4], [4, 4], [4]]
