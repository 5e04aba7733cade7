"""Conditions that are read side by side answer, and look, as each would alone."""

import pytest
import torch
from running import NEVER, STEPS, grid
from tolerances import assert_same_sources, model_rounding, weight_rounding

from rh_lens.detection import answer_recorder
from rh_lens.heads import Head
from rh_lens.interventions import uniform_attention, zero_ablation
from rh_lens.runtime import (
    PLAIN_EXECUTION,
    Condition,
    ConditionRows,
    answer_prompts,
    greedy_decode,
    open_context,
    side_by_side,
    teacher_force,
)
from rh_lens.runtime.condition_rows import rows_by_layer
from rh_lens.runtime.inference import inference

TOGETHER = ["llama", "gpt2"]
ALONE = ["mistral-window", "bloom", "opt", "dynamic"]
SETS = {
    "plain": [],
    "low": [Head(0, 1)],
    "both": [Head(0, 1), Head(2, 3)],
    "middle": [Head(1, head) for head in range(4)],
    "last": [Head(2, 0)],
}


def conditions(bridge, scope="both"):
    return {
        name: Condition(zero_ablation(heads, model=bridge), scope) for name, heads in SETS.items()
    }


def context_of(bridge, prompt, longest=100):
    return open_context(bridge, prompt.tokens, longest=longest)


def groups_of(bridge, asked, *, longest=100, n_rows=STEPS):
    prompt = grid()[1]
    context = context_of(bridge, prompt, longest)
    return side_by_side(bridge, context, asked, prompt.tokens, n_rows=n_rows)


def answered(bridge, prompts, asked, **options):
    """What is said and looked at, by condition and prompt."""
    recorders = {}

    def listen(name, index):
        recorders[name, index] = answer_recorder(bridge, prompts[index])
        return recorders[name, index].fwd_hooks()

    options |= {"max_new_tokens": STEPS, "stop": NEVER, "listen": listen}
    found = {}
    for together in answer_prompts(bridge, prompts, asked, **options):
        for name, answer in together.items():
            n_prompt, said = len(prompts[answer.index].tokens), answer.generation
            rows = recorders[name, answer.index].result().answer_rows(n_prompt, len(said.tokens))
            found[name, answer.index] = said, rows
    return found


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        *((name, "both") for name in TOGETHER),
        pytest.param("deepseek-v3", "both", marks=pytest.mark.slow),
        pytest.param("llama", "prefill", marks=pytest.mark.slow),
    ],
)
def test_answers_and_sources_are_those_of_each_condition_alone(tiny_model, name, scope):
    """Prompts with a common start, of which the second begins in the cache of the first."""
    bridge, prompts = tiny_model(name).bridge, grid()[:3]
    asked = conditions(bridge, scope)
    assert max(map(len, groups_of(bridge, asked))) > 1
    found = answered(bridge, prompts, asked)
    alone = answered(bridge, prompts, asked, execution=PLAIN_EXECUTION)
    assert sorted(found) == sorted(alone)
    allowed = weight_rounding(bridge, len(prompts[0].tokens) + STEPS)
    for key, (said, rows) in alone.items():
        assert found[key][0].said == said.said
        assert_same_sources(found[key][1], rows, allowed)
        assert torch.allclose(found[key][1].needle_mass, rows.needle_mass, rtol=0, atol=allowed)
    assert len({said.said for said, _ in alone.values()}) > 3
    assert not bridge.list_hooks(dir="fwd")


def test_what_is_done_is_not_asked_again_and_the_rest_is_the_same_to_the_last_bit(llama):
    prompts, asked = grid()[:3], conditions(llama)
    whole = answered(llama, prompts, asked)
    done = {(name, index) for name, index in whole if index != 1}
    rest = answered(llama, prompts, asked, done=done)
    assert sorted(rest) == sorted((name, 1) for name in SETS)
    for key, (said, rows) in rest.items():
        assert said.said == whole[key][0].said
        assert torch.equal(rows.weight, whole[key][1].weight)


@pytest.mark.parametrize("scope", ["both", "decode", "prefill"])
def test_logits_behind_a_context_are_those_of_each_condition_alone(llama, scope):
    """Read twice: the context stays as it is."""
    (prompt,), asked = grid()[:1], conditions(llama, scope)
    context, tokens = context_of(llama, prompt), prompt.tokens.tolist()
    rows = ConditionRows(llama, context.strategy, asked)
    with inference(llama):
        rows.reach(tokens[:40])
        assert rows.n_read == 40
        first, again = rows.read(tokens[40:70]), rows.read(tokens[40:70])
    for name, condition in asked.items():
        alone = teacher_force(
            llama,
            tokens[:41],
            prompt.tokens[41:71],
            decode_hooks=condition.decode_hooks,
            prefill_hooks=condition.prefill_hooks,
            execution=PLAIN_EXECUTION,
        )
        assert torch.equal(first[name], again[name])
        error = (first[name] - alone).norm() / alone.norm()
        assert error <= model_rounding(llama, 70)


def test_rows_part_where_conditions_begin():
    """Of 3 layers and hooks in none, 0, 1 and 1: two rows, then all four."""
    own = [(), *([(f"blocks.{layer}.attn.hook_z", print)] for layer in (0, 1, 1))]
    assert rows_by_layer(own, 3) == [2, 4, 4]
    assert rows_by_layer([(), ()], 3) == [1, 1, 1]
    assert rows_by_layer(own[1:2], 3) == [1, 1, 1]


def test_what_lies_below_the_first_hook_is_read_once(llama):
    """Rows of the residual stream in each layer: 0 and 2 hold 1 and 2 of 3 conditions' hooks."""
    n_rows = {}

    def note(z, hook):
        n_rows[hook.layer()] = len(z)

    asked = {name: conditions(llama)[name] for name in ("plain", "low", "last")}
    rows = ConditionRows(llama, context_of(llama, grid()[0]).strategy, asked)
    listening = [(f"blocks.{layer}.attn.hook_z", note) for layer in range(3)]
    with inference(llama), llama.hooks(fwd_hooks=listening):
        rows.reach(list(range(2, 40)))
    assert n_rows == {0: 2, 1: 2, 2: 3}


def test_groups_hold_neighbours_of_one_kind(llama):
    """One group acts in the last layer, the other not, so that its prompts are read without it."""
    assert groups_of(llama, conditions(llama)) == [["low", "middle", "plain"], ["both", "last"]]
    decoding = groups_of(llama, conditions(llama, "decode"))
    assert sorted(map(sorted, decoding)) == [["both", "last"], ["low", "middle", "plain"]]


def test_groups_are_bounded_by_what_their_rows_hold(llama):
    """Of 320 words, 50,000 rows of logits for two conditions; contexts of 4,096 tokens likewise."""
    asked = {f"{i}": Condition(zero_ablation([Head(0, i % 4), Head(1, i // 4)])) for i in range(5)}
    sizes = {"n_rows": {}, "longest": {}}
    for name, values in (("n_rows", (6, 50_000, 60_000)), ("longest", (100, 4096, 5000))):
        sizes[name] = [[len(g) for g in groups_of(llama, asked, **{name: n})] for n in values]
    assert sizes["n_rows"] == sizes["longest"] == [[5], [2, 2, 1], [1] * 5]


@pytest.mark.parametrize("name", ALONE)
def test_models_that_cannot_be_read_in_rows_are_read_in_turn(tiny_model, name):
    bridge = tiny_model(name).bridge
    assert groups_of(bridge, conditions(bridge)) == [[name] for name in SETS]


def test_hooks_that_may_be_anywhere_are_read_in_turn(llama):
    def anywhere(tensor, hook):
        return None

    asked = conditions(llama)
    alone = [[name] for name in asked]
    with llama.hooks(fwd_hooks=[("hook_embed", anywhere)]):
        assert groups_of(llama, asked) == alone
    for place in ("blocks.1.hook_in", "embed.hook_z", lambda name: False):
        more = asked | {"odd": Condition([(place, anywhere)])}
        assert groups_of(llama, more) == [*alone, ["odd"]]


def test_hooks_on_attention_rows_act_on_their_own(llama):
    """Uniform attention of two heads beside silenced ones."""
    (prompt,) = grid()[:1]
    asked = {
        "zero": Condition(zero_ablation([Head(1, 2)])),
        "uniform": Condition(uniform_attention(llama, [Head(1, 2)])),
        "other": Condition(uniform_attention(llama, [Head(0, 1)])),
    }
    assert groups_of(llama, asked) == [["zero"], ["other", "uniform"]]
    found = answered(llama, [prompt], asked)
    for name, condition in asked.items():
        alone = greedy_decode(
            llama,
            prompt.tokens,
            max_new_tokens=STEPS,
            stop=NEVER,
            decode_hooks=condition.hooks,
            prefill_hooks=condition.hooks,
            execution=PLAIN_EXECUTION,
        )
        assert found[name, 0][0].said == alone.said
