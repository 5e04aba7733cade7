"""Bad values for the functions of the room `runtime`."""

from types import SimpleNamespace

import torch
from bad_calls import entry
from bad_values import (
    FLAG,
    MODEL,
    PROMPTS,
    TENSOR,
    TOKENIZER,
    bad,
    choice,
    entries,
    instance,
    text,
    whole,
    wrong,
)

from rh_lens import runtime as r

IDS = wrong(None, 3.5, [1.5], ["a"], torch.zeros(3), piece="token") + bad(
    [-1], [10**6], torch.zeros(2, 2, dtype=torch.long), piece="token"
)
ID_LIST = wrong(None, 3, "x", [1.5], ["a"])
HOOKS = wrong(None, 3, "x", [3], [("a",)], [("a", "b")], [(3, print)], {"a": print})
# Of an argument whose name is longer.
HOOKS_OF = wrong(None, 3, "x", [3], [("a", "b")], piece="hooks")
CONDITIONS = wrong(3, "x", [1], {"a": 3}, {3: r.Condition()}, piece="condition")
NO_CONDITION = wrong(None, piece="condition") + CONDITIONS
STOP = instance()
SPAN = wrong(None, 3, "x", [1.5, 2.5]) + bad((3, 3), (-1, 2), (1, 2, 3), (0, 99))
EXECUTION = instance()
ROOM = whole(1)


def strategy(t):
    return r.configured_strategy(t.model, longest=200)


def context(t):
    return r.prefill(t.model, t.prompt.tokens[:5])


def rows(t):
    conditions = {"plain": r.Condition(), "zeroed": r.Condition(t.zeroing)}
    return r.ConditionRows(t.model, strategy(t), conditions)


def drafted(t):
    return {"model": t.model, "prompt": t.prompt.tokens, "max_new_tokens": 4, "stop": t.stop}


def fed(t):
    return {"model": t.model, "prompt": t.prompt.tokens, "answer_tokens": t.prompt.answer_tokens}


def together(t):
    return {
        "model": t.model, "context": r.open_context(t.model, t.prompt.tokens, longest=200),
        "conditions": {"plain": r.Condition()}, "sample": t.prompt.tokens, "n_rows": 4,
    }  # fmt: skip


RUNTIME = [
    entry(
        r.answer_prompts,
        lambda t: {"model": t.model, "prompts": t.prompts[:1], "max_new_tokens": 4}
        | {"stop": t.stop},
        lazy=True, model=MODEL,
        prompts=tuple(one for one in PROMPTS if one.error is TypeError),
        conditions=CONDITIONS, max_new_tokens=ROOM, stop=STOP, listen=wrong(None, 3, "x"),
        done=wrong(None, 3), execution=EXECUTION,
    ),
    entry(
        r.decode_batch,
        lambda t: {"model": t.model, "prompts": [p.tokens for p in t.prompts[:2]]}
        | {"decode_hooks": [(), ()], "max_new_tokens": 4, "stop": t.stop},
        model=MODEL,
        prompts=wrong(None, 3, "x", [1], [[1, 2]]) + bad([])
        + bad([torch.tensor([10**6])] * 2, piece="token"),
        decode_hooks=wrong(None, 3, "x", [3, 3], [[3], ()]) + bad([], [()]),
        max_new_tokens=ROOM, stop=STOP, execution=EXECUTION,
    ),
    entry(
        r.greedy_decode, drafted, model=MODEL, prompt=IDS + bad([], piece="prompt"),
        max_new_tokens=ROOM, stop=wrong("x", 3, [1]),
        decode_hooks=HOOKS_OF, prefill_hooks=HOOKS_OF, draft=wrong("x", 3, [1]),
        execution=EXECUTION, context=wrong("x", 3, [1]),
    ),
    entry(
        r.teacher_force, fed, model=MODEL, prompt=IDS + bad([], piece="prompt"),
        answer_tokens=wrong(None, 3, "x", [1, 2])
        + bad(torch.zeros(0, dtype=torch.long), piece="answer")
        + bad(torch.tensor([-1]), torch.tensor([10**6]), piece="token"),
        decode_hooks=HOOKS_OF, prefill_hooks=HOOKS_OF, execution=EXECUTION,
        context=wrong("x", 3, [1]),
    ),
    entry(r.prefill, lambda t: {"model": t.model, "tokens": [1, 2]}, model=MODEL, tokens=IDS,
          strategy=wrong("x", 3, [1])),
    entry(
        r.open_context, lambda t: {"model": t.model, "sample": t.prompt.tokens, "longest": 200},
        model=MODEL, sample=IDS, longest=whole(0, huge=False), execution=EXECUTION, cuts_back=FLAG,
    ),
    entry(
        r.configured_strategy, lambda t: {"model": t.model, "longest": 200}, model=MODEL,
        longest=whole(0, huge=False), execution=EXECUTION,
    ),
    entry(
        r.plan_prompts, lambda t: {"prompts": [[1, 2], [1, 3]]},
        prompts=wrong(None, 3, "x", [1], ["ab"], [[1.5]], [torch.zeros(2)]), share=FLAG,
        unit=whole(1, none=True, huge=False),
        contexts=wrong(None, 3, "x", ["a", 1]) + bad([1], [1, 2, 3]),
    ),
    entry(
        r.estimate_run, lambda t: {"model": t.model, "prompts": t.prompts, "max_new_tokens": 4},
        model=MODEL, prompts=PROMPTS, max_new_tokens=ROOM,
        stop=tuple(one for one in STOP if one.value is not None),
        execution=EXECUTION,
    ),
    entry(r.require_memory, estimate=instance()),
    entry(r.context_ends, prompts=tuple(one for one in PROMPTS if one.error is TypeError)),
    entry(
        r.side_by_side, together, model=MODEL, context=instance(), conditions=NO_CONDITION,
        sample=IDS, n_rows=whole(1, huge=False),
    ),
    entry(
        r.ConditionRows,
        lambda t: {"model": t.model, "strategy": strategy(t), "conditions": {"a": r.Condition()}},
        model=MODEL, strategy=instance(), conditions=NO_CONDITION,
    ),
    entry(r.ConditionRows.reach, lambda t: {"self": rows(t)}, tokens=IDS),
    entry(r.ConditionRows.read, lambda t: {"self": rows(t)}, tokens=IDS + bad([])),
    entry(r.ConditionRows.rows_of, lambda t: {"self": rows(t)}, layer=whole(0, 3)),
    entry(
        r.Context, lambda t: {"model": t.model, "strategy": strategy(t)}, model=MODEL,
        strategy=instance(),
    ),
    entry(r.Context.reach, lambda t: {"self": context(t), "tokens": [1]}, tokens=IDS, hooks=HOOKS),
    entry(r.Context.read, lambda t: {"self": context(t)}, tokens=IDS + bad([])),
    entry(
        r.Context.make_room, lambda t: {"self": context(t)}, n_tokens=whole(0, huge=False),
    ),
    entry(
        r.Context.truncate, lambda t: {"self": context(t)},
        n_tokens=whole(0, huge=False) + bad(6, 10**30, piece="cut back"),
    ),
    entry(
        r.Draft, lambda t: {}, guesses=wrong(None, 3, "x", [1], [["a"]]),
        texts=wrong(None, 3, "x", [1], [["a"]]), document=wrong(3, "x", [1]),
        allowance=whole(0, huge=False),
    ),
    entry(r.DraftMemory, lambda t: {}, closing=ID_LIST),
    entry(
        r.DraftMemory.draft,
        lambda t: {"self": r.DraftMemory(), "question": "a", "needle": [1, 2, 3]}
        | {"answer_span": (1, 2)},
        question=wrong([1], {"a": 1}), needle=ID_LIST, answer_span=SPAN,
    ),
    entry(r.DraftMemory.lookup, lambda t: {"self": r.DraftMemory()}, prompt=ID_LIST),
    entry(r.DraftMemory.judge, lambda t: {"self": r.DraftMemory()}, draft=instance()),
    entry(
        r.DraftMemory.learn,
        lambda t: {"self": r.DraftMemory(), "question": "a", "answer": [1], "said": [1]}
        | {"draft": r.Draft()},
        question=wrong([1], {"a": 1}), answer=ID_LIST, said=ID_LIST, draft=instance(),
    ),
    entry(
        r.Execution, prefill=choice(nearly="chunkd"), chunk=whole(1, none=True),
        share_prefixes=FLAG, speculate=FLAG, batch_size=whole(1), unit=whole(1, none=True),
    ),
    entry(
        r.require_answering, max_new_tokens=whole(1, none=True, huge=False),
        stop=wrong("x", 3, [1]), execution=EXECUTION, progress=FLAG,
    ),
    entry(
        r.Condition, hooks=HOOKS, scope=choice(nearly="decod"),
    ),
    entry(r.as_conditions, conditions=NO_CONDITION + bad({}, piece="condition")),
    entry(r.conditions_must_fire, lazy=True, conditions=NO_CONDITION),
    entry(r.must_fire, lazy=True, hooks=HOOKS),
    entry(r.require_hooks, lambda t: {"name": "hooks"}, hooks=HOOKS),
    entry(r.without_hooks, lazy=True, model=MODEL),
    entry(r.exclusive_use, lazy=True, model=MODEL),
    entry(r.exclusively, generate=wrong(None, 3, "x")),
    entry(r.inference, lazy=True, model=MODEL),
    entry(r.sdpa_attention, lazy=True, model=MODEL),
    entry(r.require_bridge, model=MODEL),
    entry(r.require_decoder, model=MODEL),
    entry(r.architecture_of, model=MODEL),
    entry(r.attention_layers, model=MODEL),
    entry(r.input_device, model=MODEL),
    entry(r.eos_token_ids, model=MODEL),
    entry(
        r.require_supported,
        config=bad(SimpleNamespace(model_type="t5", is_encoder_decoder=True), piece="decoder")
        + bad(
            SimpleNamespace(model_type="falcon", new_decoder_architecture=True), piece="falcon"
        ),
    ),
    entry(
        r.require_device,
        device=wrong(None, 3, ["cpu"]) + bad("", "foo", "cuda:99", "cpu:9", "meta"),
    ),
    entry(
        r.stop_for_needles, lambda t: {"model": t.model, "needles": t.needles}, model=MODEL,
        needles=entries(empty=False, single=lambda t: t.needles[0]),
    ),
    entry(
        r.stop_rule, lambda t: {"tokenizer": t.tokenizer}, tokenizer=TOKENIZER, newline=FLAG,
        strings=wrong(None, 3, "x", [3]) + bad([""]), eos=wrong(3, "x", ["x"], [1.5]),
    ),
    entry(
        r.StopRule, lambda t: {"token_ids": frozenset({1})},
        token_ids=wrong(None, 3, "x", ["x"], [1.5]),
        strings=wrong(None, 3, "x", (3,)) + bad(("",)),
    ),
    entry(r.StopRule.first_match, lambda t: {"self": t.stop}, text=text(blank=True)),
    entry(
        r.AttentionWindow.first_visible, lambda t: {"self": r.AttentionWindow(4)},
        positions=TENSOR + bad(torch.zeros(2), torch.zeros(2, 2, dtype=torch.long)),
    ),
    entry(
        r.AttentionWindow.cut_key_length, lambda t: {"self": r.AttentionWindow(4)},
        n_query=whole(1, huge=False),
    ),
    entry(
        r.load_model, lambda t: {"model": t.model_folder},
        model=wrong(None, 3, ["x"], piece="model") + bad("", piece="model"),
        tokenizer=wrong("gpt2", 3, [1]), device=wrong(3, ["cpu"]) + bad("foo", "cuda:99", "meta"),
        device_map=wrong(3, ["cpu"]), dtype=wrong("float32", 3),
        n_ctx=whole(1, none=True, huge=False),
        revision=wrong(3, b"x") + bad("", " "), progress=FLAG,
    ),
]  # fmt: skip
