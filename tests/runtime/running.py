"""Prompts that share prefixes, answered every way and compared with plain Hugging Face."""

from typing import Any

import torch
from planted import make_prompt
from tiny_models import TinyModel
from tolerances import assert_largest, assert_same_sources, model_rounding, weight_rounding
from torch import Tensor

from rh_lens.detection import AttentionSources
from rh_lens.detection.capture import answer_recorder
from rh_lens.prompts import Needle, NeedlePrompt
from rh_lens.runtime import Execution, Generation, StopRule, answer_prompts

NEVER = StopRule(frozenset())
STEPS = 6
Run = dict[int, tuple[Generation, AttentionSources]]


def grid(seed: int = 3, *, n_haystack: int = 60) -> list[NeedlePrompt]:
    """Two needles at three depths, and the first prompt once more; 71 tokens each."""
    generator = torch.Generator().manual_seed(seed)

    def random(n: int) -> list[int]:
        return torch.randint(2, 300, (n,), generator=generator).tolist()

    haystack, question, prompts = random(n_haystack), random(4), []
    for name in ("otter", "heron"):
        needle, text = Needle("What is it?", f"It is {name}.", name), random(7)
        for place in (0, n_haystack // 2, n_haystack):
            tokens = [*haystack[:place], *text, *haystack[place:], *question]
            prompts.append(make_prompt(tokens, (place + 2, place + 6), needle))
    return [*prompts, prompts[0]]


def run(
    bridge: Any, prompts: list[NeedlePrompt], *, max_new_tokens: int = STEPS, **execution: Any
) -> Run:
    """Answer and sources of each prompt, by its index."""
    recorders: dict[int, Any] = {}

    def listen(name: str, index: int) -> Any:
        recorders[index] = answer_recorder(bridge, prompts[index])
        return recorders[index].fwd_hooks()

    answers = answer_prompts(
        bridge,
        prompts,
        listen=listen,
        max_new_tokens=max_new_tokens,
        stop=NEVER,
        execution=Execution(**execution),
    )
    found = {}
    for answer in (together["plain"] for together in answers):
        rows = recorders[answer.index].result()
        n_prompt, said = len(prompts[answer.index].tokens), answer.generation
        found[answer.index] = said, rows.answer_rows(n_prompt, len(said.tokens))
    return found


def assert_equals_hugging_face(model: TinyModel, prompts: list[NeedlePrompt], found: Run) -> None:
    """Tokens and sources equal those of one eager pass without a cache."""
    assert sorted(found) == list(range(len(prompts)))
    for index, (generation, sources) in found.items():
        n_prompt = len(prompts[index].tokens)
        fed = torch.cat([prompts[index].tokens, generation.tokens])[:-1]
        logits, attention = model.reference_pass(fed)
        rows = attention[:, :, n_prompt - 1 :].permute(2, 0, 1, 3)
        _assert_said_and_seen(model, generation, sources, logits[n_prompt - 1 :], rows)


@torch.no_grad()
def assert_equals_stepwise_hugging_face(
    model: TinyModel, prompts: list[NeedlePrompt], found: Run
) -> None:
    """Tokens and sources equal those of eager steps through Hugging Face's own cache."""
    assert sorted(found) == list(range(len(prompts)))
    for index, (generation, sources) in found.items():
        tokens = prompts[index].tokens
        model.reference(tokens[None, :1])  # a short pass: dynamic RoPE forgets other prompts
        cache = model.reference(tokens[None, :-1], use_cache=True).past_key_values
        n_keys = len(tokens) + len(generation.tokens) - 1
        logits, rows = [], []
        for token in torch.cat([tokens[-1:], generation.tokens[:-1]]):
            output = model.reference(
                token[None, None], past_key_values=cache, output_attentions=True
            )
            logits.append(output.logits[0, -1])
            row = torch.cat(output.attentions)[:, :, -1]
            rows.append(torch.nn.functional.pad(row, (0, n_keys - row.shape[-1])))
        _assert_said_and_seen(model, generation, sources, torch.stack(logits), torch.stack(rows))


def _assert_said_and_seen(
    model: TinyModel,
    generation: Generation,
    sources: AttentionSources,
    logits: Tensor,
    rows: Tensor,
) -> None:
    """Tokens have the largest logits, [step d_vocab], and sources the largest weights."""
    n_tokens = rows.shape[-1]
    allowed = model_rounding(model.bridge, n_tokens) * float(logits.abs().max())
    assert_largest(generation.tokens, logits, allowed)
    assert_largest(sources.source, rows, weight_rounding(model.bridge, n_tokens))


def assert_same(bridge: Any, one: Run, other: Run) -> None:
    """Equal tokens and sources."""
    assert one.keys() == other.keys()
    for index, (generation, sources) in one.items():
        assert torch.equal(generation.tokens, other[index][0].tokens)
        n_tokens = int(sources.query_position[-1]) + 1
        assert_same_sources(sources, other[index][1], weight_rounding(bridge, n_tokens))
