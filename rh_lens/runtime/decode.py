"""Greedy decoding and teacher forcing while hooks listen."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.runtime.bridge import Bridge, FwdHooks, input_device
from rh_lens.runtime.inference import inference
from rh_lens.runtime.prefill import Context, prefill
from rh_lens.runtime.stop import StopReason, StopRule, decode_exactly, tokens_before


@dataclass(frozen=True, eq=False)
class Generation:
    """One greedy answer.

    Args:
        tokens: Generated token ids, on the CPU. What ended the answer is not among them.
        text: The tokens as text, without special tokens.
        stop_reason: "eos", "newline", "string", or "length" when `max_new_tokens` were generated.
    """

    tokens: Int[Tensor, "step"]
    text: str
    stop_reason: StopReason


def greedy_decode(
    model: Bridge,
    prompt_tokens: Int[Tensor, "pos"],
    *,
    max_new_tokens: int = 32,
    stop: StopRule,
    decode_hooks: FwdHooks = (),
) -> Generation:
    """Most likely continuation of a prompt, token by token through the KV cache.

    The prompt is read without its last token; that token and each generated one then pass with
    `decode_hooks` on, one pass a token, so that pass t has the row that predicts generated token t.
    Hooks the caller holds open act on the prefill and on every pass. The pass that predicted the
    stop is hooked as well: keep the first `len(generation.tokens)` rows.

    An answer stops before the stop token, or before the first token that holds any part of the stop
    string: in "...42.\\n" the token ".\\n" goes, as it could not be a copy of the needle's ".".

    Args:
        model: A TransformerBridge.
        prompt_tokens: Token ids, at least one.
        max_new_tokens: Longest answer, in tokens.
        stop: What ends the answer earlier.
        decode_hooks: Forward hooks for the decoding passes only.

    Returns:
        Tokens, text and the reason for stopping.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: The prompt is empty, `max_new_tokens` is below 1, or prompt and answer together
            exceed the learned position embeddings.
    """
    if max_new_tokens < 1:
        raise ValueError(
            f"Expected max_new_tokens of at least 1; found {max_new_tokens}. "
            "Give the answer room: its length in tokens and a few more."
        )
    generated: list[int] = []
    with _after_prompt(model, prompt_tokens, max_new_tokens, decode_hooks) as (token, context):
        for _ in range(max_new_tokens):
            token = context.read(token)[-1:].argmax(dim=-1).to(token.device)
            generated.append(int(token))
            ending = _find_ending(model.tokenizer, generated, stop)
            if ending is not None:
                n_kept, reason = ending
                return _generation(model.tokenizer, generated[:n_kept], reason)
    return _generation(model.tokenizer, generated, "length")


def teacher_force(
    model: Bridge,
    prompt_tokens: Int[Tensor, "pos"],
    answer_tokens: Int[Tensor, "answer"],
    *,
    decode_hooks: FwdHooks = (),
) -> Float[Tensor, "answer d_vocab"]:
    """Logits of the rows that predict a given answer, fed after the prompt.

    The prompt is read without its last token; that token and the answer without its own last pass
    together, with `decode_hooks` on, so that row t predicts answer token t.

    Args:
        model: A TransformerBridge.
        prompt_tokens: Token ids, at least one.
        answer_tokens: Token ids, at least one.
        decode_hooks: Forward hooks for the answer's pass only.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: Prompt or answer is empty, or together they exceed the learned position
            embeddings.
    """
    if len(answer_tokens) == 0:
        raise ValueError(
            "Expected an answer of at least one token to feed after the prompt; found none. "
            "Pass the needle's answer tokens."
        )
    with _after_prompt(model, prompt_tokens, len(answer_tokens), decode_hooks) as (token, context):
        fed = torch.cat([token, answer_tokens[:-1].to(token.device)])
        return context.read(fed)


@contextmanager
def _after_prompt(
    model: Bridge, prompt_tokens: Int[Tensor, "pos"], n_answer: int, hooks: FwdHooks
) -> Iterator[tuple[Tensor, Context]]:
    """Context with the prompt read and `hooks` on: its last token, and the others as context."""
    with inference(model):
        _require_room(model, len(prompt_tokens), n_answer)
        tokens = prompt_tokens.to(input_device(model))
        context = prefill(model, tokens[:-1])
        # Entering costs milliseconds, so once for the whole answer.
        with model.hooks(fwd_hooks=list(hooks)):
            yield tokens[-1:], context


def _require_room(model: Bridge, n_prompt: int, n_answer: int) -> None:
    """Refuse a prompt without tokens, or one whose answer would leave the position table."""
    if n_prompt == 0:
        raise ValueError(
            "Expected a prompt of at least one token; found none. Encode the text first, "
            "for example with model.to_tokens(text)[0]."
        )
    learned = model.cfg.positional_embedding_type == "standard"
    if learned and n_prompt + n_answer > model.cfg.n_ctx:
        raise ValueError(
            f"Expected prompt and answer to fit the model's {model.cfg.n_ctx} learned positions; "
            f"found {n_prompt} + {n_answer} tokens. Shorten the prompt or lower max_new_tokens."
        )


def _find_ending(
    tokenizer: Any, generated: list[int], stop: StopRule
) -> tuple[int, StopReason] | None:
    """How many of the generated tokens to keep and why, if the answer has ended."""
    if generated[-1] in stop.token_ids:
        return len(generated) - 1, "eos"
    if not stop.strings:
        return None
    match = stop.first_match(decode_exactly(tokenizer, generated))
    if match is None:
        return None
    start, reason = match
    return tokens_before(tokenizer, generated, start), reason


def _generation(tokenizer: Any, tokens: list[int], reason: StopReason) -> Generation:
    """Answer made of these tokens."""
    text = tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return Generation(torch.tensor(tokens, dtype=torch.long), text, reason)
