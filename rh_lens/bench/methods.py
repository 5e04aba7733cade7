"""Ways to answer needle prompts, from plain generation to detection with `rh_lens`.

Each takes a `Bench` and prompts and returns the generated token ids of every prompt, so that what
is timed can be seen to be the same work.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from rh_lens.checks import require_callable, require_type
from rh_lens.detection import SourceRecorder, detect_retrieval_heads
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import Bridge, StopRule


@dataclass(frozen=True, eq=False)
class Bench:
    """A model in two copies: as a bridge, and as plain Hugging Face leaves it.

    Args:
        bridge: The model as a TransformerBridge.
        plain: The same weights in an untouched Hugging Face model.
        max_new_tokens: Longest answer, in tokens.
        eos: Token that ends an answer; None where answers have the full length.
    """

    bridge: Bridge
    plain: Any
    max_new_tokens: int
    eos: int | None


Answers: TypeAlias = list[list[int]]
Method: TypeAlias = Callable[[Bench, Sequence[NeedlePrompt]], Answers]


def hugging_face_generate(bench: Bench, prompts: Sequence[NeedlePrompt]) -> Answers:
    """(a) Plain Hugging Face `generate` with SDPA; nothing is recorded."""
    bench.plain.set_attn_implementation("sdpa")
    return [_generate(bench.plain.generate, bench, prompt) for prompt in prompts]


def run_with_cache(bench: Bench, prompts: Sequence[NeedlePrompt]) -> Answers:
    """(b) Plain answers, then one `run_with_cache` on all patterns of prompt and answer."""
    answers = hugging_face_generate(bench, prompts)
    for prompt, answer in zip(prompts, answers, strict=True):
        tokens = torch.cat([prompt.tokens, torch.tensor(answer[:-1], dtype=torch.long)])[None]
        with torch.inference_mode():
            _, cache = bench.bridge.run_with_cache(
                tokens, names_filter=lambda name: name.endswith("hook_pattern")
            )
        rows = slice(len(prompt.tokens) - 1, None)
        _ = [cache["pattern", layer][0, :, rows].argmax(-1) for layer in range(_n_layers(bench))]
    return answers


def hooked_generate(bench: Bench, prompts: Sequence[NeedlePrompt]) -> Answers:
    """(c) `bridge.generate` with hooks that keep each pass's last row: `SourceRecorder`'s."""
    answers = []
    for prompt in prompts:
        recorder = SourceRecorder(bench.bridge, needle_span=prompt.answer_span)
        with bench.bridge.hooks(fwd_hooks=recorder.fwd_hooks()), torch.inference_mode():
            tokens = bench.bridge.generate(
                prompt.tokens[None].to(bench.plain.device),
                max_new_tokens=bench.max_new_tokens,
                do_sample=False,
                verbose=False,
                stop_at_eos=bench.eos is not None,
                return_type="tokens",
            )
        answers.append(_new_tokens(tokens, prompt, bench))
    return answers


def published_style(bench: Bench, prompts: Sequence[NeedlePrompt]) -> Answers:
    """(d) SDPA prefill of every prompt, then eager steps whose attentions Python loops over."""
    return [_published_answer(bench, prompt) for prompt in prompts]


def ours(bench: Bench, prompts: Sequence[NeedlePrompt]) -> Answers:
    """(e) `detect_retrieval_heads`: answers, sources, events and scores."""
    stop = StopRule(frozenset() if bench.eos is None else frozenset({bench.eos}))
    result = detect_retrieval_heads(
        bench.bridge,
        prompts,
        score="attention-mass",
        min_recall=-1.0,
        max_new_tokens=bench.max_new_tokens,
        stop=stop,
        progress=False,
    )
    return [trial.tokens.tolist() for trial in result.trials]


METHODS: dict[str, Method] = {
    "a": hugging_face_generate,
    "b": run_with_cache,
    "c": hooked_generate,
    "d": published_style,
    "e": ours,
    "f": ours,
}
"""The ways that are timed side by side, (a) to (f); (f) is asked prompts that share haystacks."""


def make_bench(bridge_of: Callable[[Any], Bridge], model: Any, **options: Any) -> Bench:
    """A bench of a Hugging Face model; the bridge gets a copy of its own.

    Args:
        bridge_of: Boots a bridge from a Hugging Face model.
        model: The model.
        options: `max_new_tokens` and `eos` of the bench.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> made = bench_models(torch.device("cpu"), quick=True)[0].make()  # calls make_bench
        >>> made.max_new_tokens
        32
    """
    require_callable("bridge_of", bridge_of)
    require_type("model", model, torch.nn.Module, remedy="Load one with transformers.")
    return Bench(bridge=bridge_of(copy.deepcopy(model)).eval(), plain=model.eval(), **options)


@torch.inference_mode()
def _published_answer(bench: Bench, prompt: NeedlePrompt) -> list[int]:
    model = bench.plain
    answer: list[int] = []
    model.set_attn_implementation("sdpa")
    tokens = prompt.tokens[None].to(model.device)
    cache = model(tokens[:, :-1], use_cache=True, logits_to_keep=1).past_key_values
    model.set_attn_implementation("eager")
    token = tokens[:, -1:]
    while len(answer) < bench.max_new_tokens:
        output = model(token, past_key_values=cache, use_cache=True, output_attentions=True)
        for layer in output.attentions:
            for head in range(layer.shape[1]):
                int(layer[0, head, -1].argmax())
        token = output.logits[:, -1:].argmax(dim=-1)
        if int(token) == bench.eos:
            break
        answer.append(int(token))
    model.set_attn_implementation("sdpa")
    return answer


def _generate(generate: Callable[..., Tensor], bench: Bench, prompt: NeedlePrompt) -> list[int]:
    tokens = prompt.tokens[None].to(bench.plain.device)
    output = generate(
        tokens,
        attention_mask=torch.ones_like(tokens),
        max_new_tokens=bench.max_new_tokens,
        do_sample=False,
        eos_token_id=bench.eos,
        pad_token_id=0,
    )
    return _new_tokens(output, prompt, bench)


def _new_tokens(output: Tensor, prompt: NeedlePrompt, bench: Bench) -> list[int]:
    """What was generated, up to the end of sequence."""
    tokens = output[0, len(prompt.tokens) :].tolist()
    return tokens[: tokens.index(bench.eos)] if bench.eos in tokens else tokens


def _n_layers(bench: Bench) -> int:
    return int(bench.bridge.cfg.n_layers)
