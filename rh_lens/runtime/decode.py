"""Greedy decoding and teacher forcing while hooks listen."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_type
from rh_lens.runtime.architecture import Bridge, FwdHooks, architecture_of
from rh_lens.runtime.context import Context
from rh_lens.runtime.execution import (
    DEFAULT_EXECUTION,
    Execution,
    require_answering,
    require_asked,
)
from rh_lens.runtime.generation import Asked, Generation, GenerationUnderWay
from rh_lens.runtime.hooks import require_hooks
from rh_lens.runtime.inference import inference
from rh_lens.runtime.self_check import open_context
from rh_lens.runtime.speculation import Draft
from rh_lens.runtime.stop import StopRule, eos_token_ids
from rh_lens.runtime.tokens import TokensLike, as_tokens


def greedy_decode(
    model: Bridge,
    prompt: TokensLike,
    *,
    max_new_tokens: int = 32,
    stop: StopRule | None = None,
    decode_hooks: FwdHooks = (),
    prefill_hooks: FwdHooks = (),
    draft: Draft | None = None,
    execution: Execution = DEFAULT_EXECUTION,
    context: Context | None = None,
) -> Generation:
    """Most likely continuation of a prompt, through the KV cache.

    The prompt is read without its last token; that token and each generated one then pass with
    `decode_hooks` on, so that the row at position p predicts the token at p + 1. Hooks the caller
    holds open act on the prefill and on every pass. The pass that predicted the stop is hooked as
    well.

    Without a draft a pass has one row. A draft's tokens pass together with the last one and are
    verified: those the model itself says there stay, the others are cut from the cache, and the
    answer is the one of single steps. Their rows were hooked too: of several rows at one position,
    the last one counts.

    An answer stops before the stop token, or before the first token that holds any part of the stop
    string: in "...42.\\n" the token ".\\n" goes, as it could not be a copy of the needle's ".".

    Args:
        model: A TransformerBridge.
        prompt: Token ids, at least one, `[pos]` or `[1 pos]`; or a text, encoded with the special
            tokens that the tokenizer adds.
        max_new_tokens: Longest answer, in tokens.
        stop: What ends the answer earlier. None: the end-of-sequence tokens, `eos_token_ids`.
        decode_hooks: Forward hooks for the decoding passes only.
        prefill_hooks: Forward hooks for the reading of the prompt only.
        draft: Guesses to verify; ignored where the cache can't be cut back.
        execution: How to read the prompt.
        context: Context to continue, which keeps the longest prefix it has in common with the
            prompt; `execution` is then its own. None: a new one.

    Returns:
        Tokens, text and the reason for stopping.

    Raises:
        ModelInUseError: Another thread is using the model.
        RuntimeError: The chosen prefill disagrees with the plain bridge.
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: The prompt is empty, `max_new_tokens` is below 1, prompt and answer together
            exceed the context window, an id is beyond the vocabulary, or the prefill is impossible.

    Examples:
        >>> answer = greedy_decode(model, prompt.tokens, stop=stop)
        >>> answer.text, answer.stop_reason
        (' velvet comet eleven.', 'eos')
    """
    _require_reading(execution, context, (decode_hooks, prefill_hooks))
    if draft is not None:
        require_type("draft", draft, Draft, remedy="Make one with DraftMemory.")
    with inference(model):
        if stop is None:
            stop = StopRule(eos_token_ids(model))
        require_asked(max_new_tokens, stop, execution)
        tokens, context = _asked_of(model, prompt, max_new_tokens, execution, context, draft)
        guesses = draft if context.strategy.truncates else None
        answer = GenerationUnderWay(model.tokenizer, tokens[-1], max_new_tokens, stop, guesses)
        return decode(context, tokens, Asked(answer, prefill_hooks, decode_hooks))


def decode(context: Context, tokens: Sequence[int], asked: Asked) -> Generation:
    """An answer, step by step, by a context that can read the prompt's tokens and the answer."""
    model, answer = context.model, asked.answer
    with inference(model):
        context.reach(tokens[:-1], asked.prefill_hooks)
        # Entering costs milliseconds, so once for the whole answer.
        with model.hooks(fwd_hooks=list(asked.decode_hooks)):
            while answer.is_open():
                # One row for the token said last, and one for each guess after it. Hooks see the
                # rows of wrong guesses too, at positions that the next pass has again: whoever
                # listens takes the last row of a position.
                rows = answer.next_tokens()
                n_kept = answer.take(context.read(rows).argmax(dim=-1).tolist())
                context.truncate(context.n_read - (len(rows) - n_kept))
    return answer.result()


def teacher_force(
    model: Bridge,
    prompt: TokensLike,
    answer_tokens: Int[Tensor, " answer"],
    *,
    decode_hooks: FwdHooks = (),
    prefill_hooks: FwdHooks = (),
    execution: Execution = DEFAULT_EXECUTION,
    context: Context | None = None,
) -> Float[Tensor, "answer d_vocab"]:
    """Logits of the rows that predict a given answer, fed after the prompt.

    The prompt is read without its last token; that token and the answer without its own last pass
    together, with `decode_hooks` on, so that row t predicts answer token t. Where the RoPE depends
    on the length, the answer passes token by token.

    Args:
        model: A TransformerBridge.
        prompt: As in `greedy_decode`.
        answer_tokens: Token ids, at least one.
        decode_hooks: Forward hooks for the answer's pass only.
        prefill_hooks: Forward hooks for the reading of the prompt only.
        execution: How to read the prompt.
        context: Context to continue, as in `greedy_decode`. None: a new one.

    Raises:
        ModelInUseError: Another thread is using the model.
        RuntimeError: The chosen prefill disagrees with the plain bridge.
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: Prompt or answer is empty, together they exceed the context window, an id is
            beyond the vocabulary, or the prefill is impossible.

    Examples:
        >>> logits = teacher_force(model, prompt.tokens, prompt.answer_tokens)
        >>> logits.argmax(dim=-1).equal(prompt.answer_tokens)
        True
    """
    _require_reading(execution, context, (decode_hooks, prefill_hooks))
    require_type("answer_tokens", answer_tokens, Tensor, remedy="Pass prompt.answer_tokens.")
    if len(answer_tokens) == 0:
        raise ValueError(
            "Expected an answer of at least one token to feed after the prompt; found none. "
            "Pass the needle's answer tokens."
        )
    with inference(model):
        answer_tokens = as_tokens(model, answer_tokens)
        tokens, context = _asked_of(model, prompt, len(answer_tokens), execution, context, None)
        context.reach(tokens[:-1], prefill_hooks)
        fed = [tokens[-1], *answer_tokens[:-1].tolist()]
        with model.hooks(fwd_hooks=list(decode_hooks)):
            if context.strategy.cache.plain and not context.strategy.truncates:
                return torch.cat([context.read([one]) for one in fed])
            return context.read(fed)


def _require_reading(
    execution: Execution, context: Context | None, hooks: Iterable[FwdHooks]
) -> None:
    """Refuse ways to read, contexts and hooks that are none."""
    require_answering(execution=execution)
    if context is not None:
        require_type("context", context, Context, remedy="Make one with open_context.")
    for own in hooks:
        require_hooks("hooks", own)


def _asked_of(
    model: Bridge,
    prompt: TokensLike,
    n_answer: int,
    execution: Execution,
    context: Context | None,
    draft: Draft | None,
) -> tuple[list[int], Context]:
    """A prompt's tokens, which the model can read and answer, and a context to read them with."""
    tokens = as_tokens(model, prompt)
    require_room(model, len(tokens), n_answer)
    if context is None:
        longest, cuts_back = len(tokens) + n_answer, draft is not None
        context = open_context(
            model, tokens, longest=longest, execution=execution, cuts_back=cuts_back
        )
    return tokens.tolist(), context


def require_readable(model: Bridge, prompts: Iterable[TokensLike], n_answer: int) -> None:
    """Refuse prompts that the model can't read or answer, before any is read; see `as_tokens`."""
    for prompt in prompts:
        require_room(model, len(as_tokens(model, prompt)), n_answer)


def require_room(model: Bridge, n_prompt: int, n_answer: int) -> None:
    """Refuse a prompt without tokens, no room for an answer, or one beyond the context window."""
    if n_answer < 1:
        raise ValueError(
            f"Expected max_new_tokens of at least 1; found {n_answer}. "
            "Give the answer room: its length in tokens and a few more."
        )
    if n_prompt == 0:
        raise ValueError(
            "Expected a prompt of at least one token; found none. Encode the text first, "
            "for example with model.to_tokens(text)[0]."
        )
    limit = architecture_of(model).rope_limit
    stretches = limit is not None and limit.kind == "dynamic"
    if n_prompt + n_answer > model.cfg.n_ctx and not stretches:
        raise ValueError(
            f"Expected prompt and answer to fit the model's context window of {model.cfg.n_ctx} "
            f"tokens; found {n_prompt} + {n_answer}. Shorten the prompt or lower max_new_tokens."
        )
