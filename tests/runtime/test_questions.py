"""Questions about one context that share their passes are answered as each prompt alone."""

import warnings

import pytest
import torch
from planted import make_prompt
from running import NEVER, STEPS, assert_equals_hugging_face, assert_same, run
from tolerances import assert_same_sources, weight_rounding

from rh_lens.detection import MemoryLog, answer_recorder, detect_retrieval_heads
from rh_lens.heads import Head
from rh_lens.interventions import knock_out_edges, uniform_attention, zero_ablation
from rh_lens.prompts import Needle, PackedPrompt
from rh_lens.runtime import PLAIN_EXECUTION, Condition, Execution, answer_prompts, plan_prompts
from rh_lens.runtime.decode import greedy_decode
from rh_lens.runtime.sdpa import sdpa_obstacle

BESIDE = ["llama", "mixtral", "gpt2"]
MORE = ["qwen2", "qwen3", "gpt-neox", "phi3", "falcon", "yarn", "mistral", "gptj", "deepseek-v3"]
ALONE = ["mistral-window", "gemma3", "lfm2", "dynamic", "bloom", "opt"]
N_CONTEXT = 50


def turns(n_turns=2, questions=(3, 1, 8)):
    """Two contexts of 50 tokens, each asked three questions of different lengths."""
    generator = torch.Generator().manual_seed(4)

    def random(n):
        return torch.randint(2, 300, (n,), generator=generator).tolist()

    prompts, asked = [], [random(n) for n in questions]
    for turn in range(n_turns):
        context = random(N_CONTEXT)
        for place, question in enumerate(asked):
            name = "otter heron lynx".split()[place]
            needle = Needle(f"What is {place}?", f"It is {name}.", name)
            start = 5 + 15 * ((place + turn) % 3)
            plain = make_prompt([*context, *question], (start, start + 4), needle)
            prompts.append(
                PackedPrompt(
                    **{
                        **vars(plain),
                        "n_tokens": len(plain.tokens),
                        "n_context": N_CONTEXT,
                        "turn": turn,
                    }
                )
            )
    return prompts


def test_prompts_with_one_context_are_a_turn_and_stay_in_one_unit():
    tokens = [prompt.tokens for prompt in turns()]
    plan = plan_prompts(tokens, unit=4, contexts=[N_CONTEXT] * 6)
    assert sorted(map(sorted, plan.turns)) == [[0, 1, 2], [3, 4, 5]]
    assert [len(unit) for unit in plan.units] == [3, 3]
    assert [len(unit) for unit in plan_prompts(tokens, unit=6, contexts=[50] * 6).units] == [6]
    assert plan_prompts(tokens).turns == ()
    assert plan_prompts(tokens, share=False, contexts=[N_CONTEXT] * 6).turns == ()
    assert plan_prompts([tokens[0]] * 2, contexts=[len(tokens[0])] * 2).turns == ()


@pytest.mark.parametrize("prefill", ["whole", "sdpa"])
@pytest.mark.parametrize(
    "name", [*BESIDE, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)]
)
def test_tokens_and_sources_are_those_of_each_prompt_alone(tiny_model, name, prefill):
    model, prompts = tiny_model(name), turns()
    if prefill == "sdpa" and (sdpa_obstacle(model.bridge) or name == "deepseek-v3"):
        pytest.skip("has no SDPA")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = run(model.bridge, prompts, prefill=prefill)
    assert_same(model.bridge, found, run(model.bridge, prompts, **vars(PLAIN_EXECUTION)))
    assert_equals_hugging_face(model, prompts, found)


@pytest.mark.parametrize("name", ALONE)
def test_others_answer_one_after_the_other_and_say_so(tiny_model, name):
    bridge, prompts = tiny_model(name).bridge, turns(1)
    options = {"share_prefixes": True}
    if name in ("lfm2", "dynamic"):  # a context can't be cut back: no turns at all
        found = run(bridge, prompts, **options)
    else:
        with pytest.warns(UserWarning, match="one after the other: "):
            found = run(bridge, prompts, **options)
    assert_same(bridge, found, run(bridge, prompts, **vars(PLAIN_EXECUTION)))


def test_a_turn_is_read_once_and_answered_in_as_many_passes_as_one_question(llama):
    """50 tokens of context, then 2 + 0 + 7 of questions, then 6 passes of 3 rows."""
    rows = []
    handle = llama.blocks[0].mlp.register_forward_hook(
        lambda module, args, output: rows.append(args[0].shape[1])
    )
    try:
        list(
            answer_prompts(
                llama,
                turns(1),
                max_new_tokens=STEPS,
                stop=NEVER,
                execution=Execution(speculate=False),
            )
        )
    finally:
        handle.remove()
    assert rows[-8:] == [N_CONTEXT, 9, *[3] * STEPS]


def test_rows_of_refused_guesses_do_not_pile_up(llama):
    """Guesses that are never right: without letting go, 3 * 24 steps would leave over 300 rows."""
    lengths = []

    def note(keys, hook):
        lengths.append(keys.shape[-1])

    wrong = turns(1)
    conditions = {"noted": Condition([("blocks.0.attn.hook_pattern", note)], "decode")}
    found = list(answer_prompts(llama, wrong, conditions, max_new_tokens=24, stop=NEVER))
    plain = list(answer_prompts(llama, wrong, max_new_tokens=24, stop=NEVER,
                                execution=PLAIN_EXECUTION))  # fmt: skip
    said = {one["noted"].index: one["noted"].generation.said for one in found}
    assert said == {one["plain"].index: one["plain"].generation.said for one in plain}
    cache = found[-1]["noted"].context.cache.layers[0]
    assert cache._buffers[0].shape[-2] <= 2 * (N_CONTEXT + 12 + 3 * 24)
    assert max(lengths) <= N_CONTEXT + 8 + 24


def test_conditions_and_questions_behind_one_context(llama):
    """Twelve answers in one tree: three questions under four conditions."""
    prompts, heads = turns(1), [Head(1, 2), Head(2, 0)]

    def hooks_for(prompt):
        return {
            "plain": (),
            "zero": zero_ablation(heads),
            "uniform": uniform_attention(llama, heads),
            "cut": knock_out_edges(llama, heads, prompts[0].answer_span, keeps_all_keys=True),
        }

    recorders = {}

    def listen(name, index):
        recorders[name, index] = answer_recorder(llama, prompts[index])
        return recorders[name, index].fwd_hooks()

    conditions = {name: Condition(hooks, "decode") for name, hooks in hooks_for(None).items()}
    options = {"max_new_tokens": STEPS, "stop": NEVER}
    answers = list(answer_prompts(llama, prompts, conditions, listen=listen, **options))
    assert [len(together) for together in answers] == [4] * 3
    for together in answers:
        for name, answer in together.items():
            prompt, recorder = prompts[answer.index], answer_recorder(llama, prompts[answer.index])
            said = greedy_decode(
                llama,
                prompt.tokens,
                decode_hooks=[*conditions[name].hooks, *recorder.fwd_hooks()],
                **options,
            )
            assert said.said == answer.generation.said
            place = len(prompt.tokens), STEPS
            assert_same_sources(
                recorders[name, answer.index].result().answer_rows(*place),
                recorder.result().answer_rows(*place),
                weight_rounding(llama, sum(place)),
            )
    assert len({a.generation.said for one in answers for a in one.values()}) > 3


def test_conditions_on_the_reading_answer_packed_prompts_too(llama):
    prompts = turns(1)
    conditions = {"plain": Condition(), "zero": Condition(zero_ablation([Head(1, 2)]))}
    options = {"max_new_tokens": STEPS, "stop": NEVER}
    found = {
        (name, answer.index): answer.generation.said
        for together in answer_prompts(llama, prompts, conditions, **options)
        for name, answer in together.items()
    }
    for (name, index), said in found.items():
        hooks = conditions[name].hooks
        alone = greedy_decode(
            llama, prompts[index].tokens, prefill_hooks=hooks, decode_hooks=hooks, **options
        )
        assert said == alone.said
    assert len(found) == 6


def test_a_detection_that_is_gone_on_with_is_the_same_to_the_last_bit(llama):
    prompts = turns()
    whole = MemoryLog(range(6))
    options = {
        "min_recall": -1.0,
        "progress": False,
        "score": "teacher-forced",
        "max_new_tokens": 5,
    }
    result = detect_retrieval_heads(llama, prompts, log=whole, **options)
    plain = detect_retrieval_heads(llama, prompts, execution=PLAIN_EXECUTION, **options)
    assert torch.equal(result.scores.values, plain.scores.values)
    some = MemoryLog(range(6), {index: whole.done[index] for index in (0, 4)})
    again = detect_retrieval_heads(llama, prompts, log=some, **options)
    assert torch.equal(again.scores.values, result.scores.values)
    for one, other in zip(again.trials, result.trials, strict=True):
        assert torch.equal(one.attention_mass, other.attention_mass)
        assert torch.equal(one.tokens, other.tokens)
