"""The operators on plain Hugging Face models, through their weights and their modules' inputs."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from tiny_models import HYBRIDS, TinyModel
from tolerances import assert_close, assert_differs, model_rounding
from torch import Tensor, nn
from transformers import DynamicCache

from rh_lens.heads import Head
from rh_lens.runtime import Condition, teacher_force

N_HEADS = 4
# Puts an operator on a plain model while it is open.
Operator = Callable[[Any], AbstractContextManager[None]]
SCOPES = ["prefill", "decode", "both"]


def attention_layers(model: TinyModel) -> list[int]:
    return [layer for layer, _ in model.bridge.blocks_with("attn")]


def output_projection(reference: Any, layer: int) -> Any:
    """The linear map behind the heads of a layer."""
    name = re.compile(
        rf"\.(layers|h)\.{layer}\.[a-z_]*(attn|attention)[a-z_.]*\.(o_proj|out_proj|dense|c_proj)$"
    )
    (found,) = [module for path, module in reference.named_modules() if name.search(path)]
    return found


def attention_module(reference: Any, layer: int) -> Any:
    """The module that holds a layer's output projection."""
    projection = output_projection(reference, layer)
    (found,) = [m for m in reference.modules() if any(c is projection for c in m.children())]
    return found


def by_input(module: Any) -> Tensor:
    """A linear map's weight as [in, out], sharing its memory."""
    return module.weight.data.T if isinstance(module, nn.Linear) else module.weight.data


@contextmanager
def restored(*tensors: Tensor) -> Iterator[None]:
    """Context that puts tensors back afterwards."""
    kept = [tensor.clone() for tensor in tensors]
    try:
        yield
    finally:
        for tensor, old in zip(tensors, kept, strict=True):
            tensor.copy_(old)


def columns_times(factor: float, heads: list[Head]) -> Operator:
    """Multiply the columns of the output projection that read these heads."""

    @contextmanager
    def operator(reference: Any) -> Iterator[None]:
        weights = [by_input(output_projection(reference, head.layer)) for head in heads]
        with restored(*weights):
            for head, weight in zip(heads, weights, strict=True):
                d_head = len(weight) // N_HEADS
                weight[head.head * d_head : (head.head + 1) * d_head] *= factor
            yield

    return operator


def outputs_become(value: Tensor, head: Head) -> Operator:
    """Put one row in the place of a head's output."""

    def put(module: Any, inputs: Any) -> Any:
        z = inputs[0].clone()
        d_head = z.shape[-1] // N_HEADS
        z[..., head.head * d_head : (head.head + 1) * d_head] = value
        return (z, *inputs[1:])

    @contextmanager
    def operator(reference: Any) -> Iterator[None]:
        handle = output_projection(reference, head.layer).register_forward_pre_hook(put)
        try:
            yield
        finally:
            handle.remove()

    return operator


def queries_zeroed(name: str, heads: list[Head]) -> Operator:
    """Zero the rows of the query projection that make these heads' queries; ALiBi too."""

    @contextmanager
    def operator(reference: Any) -> Iterator[None]:
        with ExitStack() as stack:
            for head in heads:
                attention = attention_module(reference, head.layer)
                for part in _query_rows(name, attention, head.head):
                    stack.enter_context(restored(part))
                    part.zero_()
                if name == "bloom":
                    stack.enter_context(_changed_input(attention, _without_alibi(head.head)))
            yield

    return operator


def edges_cut(head: Head, keys: list[int]) -> Operator:
    """Mask keys for one head."""

    def cut(inputs: dict[str, Any]) -> None:
        mask = inputs["attention_mask"]
        mask = mask.expand(-1, N_HEADS, -1, -1).clone()
        mask[:, head.head, :, keys] = torch.finfo(mask.dtype).min
        inputs["attention_mask"] = mask

    def operator(reference: Any) -> AbstractContextManager[None]:
        return _changed_input(attention_module(reference, head.layer), cut)

    return operator


def together(*operators: Operator) -> Operator:
    """All of them."""

    @contextmanager
    def operator(reference: Any) -> Iterator[None]:
        with ExitStack() as stack:
            for one in operators:
                stack.enter_context(one(reference))
            yield

    return operator


@torch.no_grad()
def plain_logits(
    model: TinyModel, prompt: Tensor, answer: Tensor, operator: Operator, scope: str
) -> Tensor:
    """Logits that predict an answer: the prompt without its last token, then the rest by steps."""
    reference = model.reference
    reference(prompt[None, :1])  # a short pass: dynamic RoPE forgets other prompts
    cache = None if model.name in HYBRIDS else DynamicCache()
    with nullcontext() if scope == "decode" else operator(reference):
        before = prompt[None, :-1]
        cache = reference(before, past_key_values=cache, use_cache=True).past_key_values
    rows = []
    with nullcontext() if scope == "prefill" else operator(reference):
        for place, token in enumerate(torch.cat([prompt[-1:], answer[:-1]]), len(prompt) - 1):
            output = reference(
                token[None, None],
                past_key_values=cache,
                use_cache=True,
                position_ids=torch.tensor([[place]]),
            )
            rows.append(output.logits[0, -1])
    return torch.stack(rows)


def forced(model: TinyModel, prompt: Tensor, answer: Tensor, condition: Condition) -> Tensor:
    """The same logits through the bridge."""
    return teacher_force(
        model.bridge,
        prompt,
        answer,
        prefill_hooks=condition.prefill_hooks,
        decode_hooks=condition.decode_hooks,
    )


def assert_equals_hugging_face(
    model: TinyModel, tokens: Tensor, hooks: Any, operator: Operator
) -> None:
    """Hooks do what the operator does in every scope: for 3 tokens after a prompt, and visibly."""
    answer = tokens[:3]
    relative = model_rounding(model.bridge, len(tokens) + len(answer))
    plain = forced(model, tokens, answer, Condition())
    for scope in SCOPES:
        found = forced(model, tokens, answer, Condition(hooks, scope))
        expected = plain_logits(model, tokens, answer, operator, scope)
        assert_close(found, expected, relative)
        # The last layer of attention writes nothing that a later row could read.
        if scope != "prefill" or len(attention_layers(model)) > 1:
            assert_differs(found, plain, relative)


def _query_rows(name: str, attention: Any, head: int) -> list[Tensor]:
    """The parts of weight and bias that make a head's query."""
    kinds = ("q_proj", "q_b_proj", "qkv_proj", "query_key_value", "c_attn")
    kind = next(kind for kind in kinds if isinstance(getattr(attention, kind, None), nn.Module))
    projection = getattr(attention, kind)
    width = by_input(projection).shape[1]
    d_query, stride = width // N_HEADS, width // N_HEADS
    if kind == "query_key_value":  # query, key and value of each head in turn
        d_query = stride // 3
    elif kind == "c_attn":  # all queries, all keys, all values
        d_query = stride = width // 3 // N_HEADS
    elif kind == "qkv_proj":
        d_query = stride = attention.head_dim
    elif name == "qwen3-next":  # query and gate of each head in turn
        d_query = stride // 2
    rows = slice(head * stride, head * stride + d_query)
    bias = getattr(projection, "bias", None)
    return [by_input(projection)[:, rows], *([] if bias is None else [bias.data[rows]])]


def _without_alibi(head: int) -> Callable[[dict[str, Any]], None]:
    def change(inputs: dict[str, Any]) -> None:
        inputs["alibi"] = inputs["alibi"].clone()
        inputs["alibi"][head] = 0

    return change


@contextmanager
def _changed_input(module: Any, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Context in which a module gets other keyword arguments."""

    def changed(_: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        kwargs = dict(kwargs)
        change(kwargs)
        return args, kwargs

    handle = module.register_forward_pre_hook(changed, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
