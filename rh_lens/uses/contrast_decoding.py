"""Decoding against what the model would say without its retrieval heads, or without context."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_choice, require_number, require_whole_number
from rh_lens.heads import HeadsLike
from rh_lens.interventions import zero_ablation
from rh_lens.representation import short_repr
from rh_lens.runtime import (
    Bridge,
    Condition,
    ConditionRows,
    Context,
    FwdHooks,
    Generation,
    StopRule,
    eos_token_ids,
    inference,
    open_context,
    require_answering,
    require_bridge,
    require_hooks,
    side_by_side,
    stop_rule,
)
from rh_lens.runtime.decode import require_room
from rh_lens.runtime.generation import GenerationUnderWay
from rh_lens.runtime.row_answers import open_rows, read_rows
from rh_lens.runtime.row_hooks import OwnRows, hooks_on_rows
from rh_lens.runtime.tokens import TokensLike, as_tokens
from rh_lens.uses.contrast import Strength, contrast, contrast_strength

ReadTwice: TypeAlias = Callable[[int], tuple[Tensor, Tensor]]
"""Logits behind a token: the base's, and those of what is contrasted with."""


@dataclass(frozen=True, eq=False)
class Contrasted:
    """An answer, and how strong the contrast was.

    Args:
        generation: The answer.
        strength: Strength at each token that was said, those that ended the answer among them.
    """

    generation: Generation
    strength: Float[Tensor, " step"]

    __repr__ = short_repr


def contrast_decode(
    model: Bridge,
    prompt: TokensLike,
    heads: HeadsLike,
    *,
    alpha: float = 1.0,
    by: Strength = "entropy",
    hooks: FwdHooks = (),
    max_new_tokens: int = 32,
    stop: StopRule | None = None,
) -> Contrasted:
    r"""Greedy answer by the contrast of a model with itself without its retrieval heads (DeCoRe).

    The prompt is read once, by the untouched model; each token then passes once, as two rows: with
    the heads and without (two passes where rows can't stand side by side). Both variants of Gema et
    al. 2024 (arXiv:2410.18860): "entropy" scales with the entropy of the next token, "static" does
    not. As in its published code, heads are silent while the answer is said, not while the prompt
    is read. The answer is that of `greedy_decode` with `alpha=0`, where the second row is left out.

    Args:
        model: A TransformerBridge.
        prompt: Token ids or a text, as in `greedy_decode`.
        heads: The heads that are silenced, in any notation of `as_heads`.
        alpha: Factor of the strength, 0 or more; 1 is the paper's for "entropy".
        by: What the strength depends on.
        hooks: Forward hooks on both rows while the answer is said, such as `scale_heads`.
        max_new_tokens: Longest answer.
        stop: What ends it earlier. None: end of sequence and newline.

    Raises:
        ModelInUseError: Another thread is using the model.
        TypeError: An argument has the wrong type.
        ValueError: There is no such head, the prompt does not fit, or a number is out of range.

    Examples:
        >>> found = contrast_decode(model, prompt.tokens, heads)
        >>> found.generation.text, found.strength.shape
        (' velvet comet eleven.', torch.Size([7]))
    """
    require_bridge(model)
    stop = _choices(model, alpha, by, hooks, max_new_tokens, stop)
    silenced = [*hooks, *zero_ablation(heads, model=model)]
    tokens = _prompt(model, prompt, max_new_tokens)
    conditions = {"base": Condition(hooks, "decode"), "other": Condition(silenced, "decode")}
    answer = GenerationUnderWay(model.tokenizer, int(tokens[-1]), max_new_tokens, stop)
    longest = len(tokens) + max_new_tokens
    with inference(model):
        context = open_context(model, tokens, longest=longest, cuts_back=False)
        if alpha == 0:
            return _one_context(model, context, tokens, hooks, answer)
        if len(side_by_side(model, context, conditions, tokens, n_rows=1)) == 1:
            return _two_rows(model, context, tokens, conditions, answer, alpha, by)
        return _two_contexts(
            model, [(tokens, hooks), (tokens, silenced)], context, answer, alpha, by
        )


def context_aware_decode(
    model: Bridge,
    prompt: TokensLike,
    without: TokensLike,
    *,
    alpha: float = 0.5,
    hooks: FwdHooks = (),
    max_new_tokens: int = 32,
    stop: StopRule | None = None,
) -> Contrasted:
    """Greedy answer by the contrast of a prompt with the same prompt without its context (CAD).

    Context-aware decoding of Shi et al. 2023 (arXiv:2305.14739), which uses an alpha of 0.5 in most
    of its experiments. It takes two passes a token, and knows nothing of heads.

    Args:
        model: A TransformerBridge.
        prompt: Token ids or a text with the context.
        without: The same without it: the question alone.
        alpha: Strength, 0 or more.
        hooks: As in `contrast_decode`.
        max_new_tokens: Longest answer.
        stop: What ends it earlier. None: end of sequence and newline.

    Raises:
        ModelInUseError: Another thread is using the model.
        TypeError: An argument has the wrong type.
        ValueError: A prompt does not fit, or a number is out of range.

    Examples:
        >>> question = f"Question: {needle.question}\\nAnswer:"
        >>> context_aware_decode(model, prompt.tokens, question).generation.text
        ' velvet comet eleven.'
    """
    require_bridge(model)
    stop = _choices(model, alpha, "static", hooks, max_new_tokens, stop)
    tokens, alone = (_prompt(model, one, max_new_tokens) for one in (prompt, without))
    answer = GenerationUnderWay(model.tokenizer, int(tokens[-1]), max_new_tokens, stop)
    with inference(model):
        longest = max(len(tokens), len(alone)) + max_new_tokens
        context = open_context(model, tokens, longest=longest, cuts_back=False)
        if alpha == 0:
            return _one_context(model, context, tokens, hooks, answer)
        return _two_contexts(
            model, [(tokens, hooks), (alone, hooks)], context, answer, alpha, "static"
        )


def _choices(
    model: Bridge,
    alpha: float,
    by: Strength,
    hooks: FwdHooks,
    max_new_tokens: int,
    stop: StopRule | None,
) -> StopRule:
    """The stop rule, after bad choices were refused."""
    require_number("alpha", alpha, at_least=0)
    require_choice("by", by, get_args(Strength))
    require_hooks("hooks", hooks)
    require_whole_number("max_new_tokens", max_new_tokens, at_least=1)
    require_answering(stop=stop)
    return stop or stop_rule(model.tokenizer, eos=eos_token_ids(model))


def _prompt(model: Bridge, prompt: TokensLike, max_new_tokens: int) -> Int[Tensor, " pos"]:
    tokens = as_tokens(model, prompt)
    require_room(model, len(tokens), max_new_tokens)
    return tokens


def _one_context(
    model: Bridge,
    context: Context,
    tokens: Int[Tensor, " pos"],
    hooks: FwdHooks,
    answer: GenerationUnderWay,
) -> Contrasted:
    """The answer without a contrast."""
    context.reach(tokens[:-1])
    with model.hooks(fwd_hooks=list(hooks)):
        while answer.is_open():
            answer.take(context.read(answer.next_tokens()).argmax(dim=-1).tolist())
    said = answer.result()
    return Contrasted(said, torch.zeros(len(said.said)))


def _two_rows(
    model: Bridge,
    context: Context,
    tokens: Int[Tensor, " pos"],
    conditions: dict[str, Condition],
    answer: GenerationUnderWay,
    alpha: float,
    by: Strength,
) -> Contrasted:
    """The answer, each token being read once as two rows."""
    rows = ConditionRows(model, context.strategy, conditions)
    rows.reach(tokens[:-1].tolist())
    cache = open_rows(rows, answer.max_new_tokens + 1)
    at = [rows.names.index(name) for name in ("base", "other")]
    owners = [
        OwnRows(conditions[name].hooks, (slice(row, row + 1),), (slice(row, row + 1),))
        for row, name in enumerate(rows.names)
    ]
    place = len(tokens) - 1

    def read(token: int) -> tuple[Tensor, Tensor]:
        nonlocal place
        logits = read_rows(model, cache, [place] * 2, [[token]] * 2)[:, 0]
        place += 1
        return logits[at[0]], logits[at[1]]

    with model.hooks(fwd_hooks=hooks_on_rows(owners)):
        return answered_by_contrast(answer, read, alpha, by)


def _two_contexts(
    model: Bridge,
    asked: Sequence[tuple[Int[Tensor, " _"], FwdHooks]],
    context: Context,
    answer: GenerationUnderWay,
    alpha: float,
    by: Strength,
) -> Contrasted:
    """The answer, each token being read in two contexts, one after the other."""
    contexts = [Context(model, context.strategy) for _ in asked]
    for one, (tokens, _) in zip(contexts, asked, strict=True):
        one.reach(tokens[:-1])
    readers = list(zip(contexts, asked, strict=True))

    def step(reader: tuple[Context, tuple[Tensor, FwdHooks]], token: int) -> Tensor:
        one, (tokens, hooks) = reader
        # The first token to pass is each prompt's own last one.
        own = int(tokens[-1]) if one.n_read == len(tokens) - 1 else token
        with model.hooks(fwd_hooks=list(hooks)):
            return one.read([own])[0]

    def read(token: int) -> tuple[Tensor, Tensor]:
        base, other = map(partial(step, token=token), readers)
        return base, other

    return answered_by_contrast(answer, read, alpha, by)


def answered_by_contrast(
    answer: GenerationUnderWay, read: ReadTwice, alpha: float, by: Strength
) -> Contrasted:
    """The answer of a contrast, token by token.

    Args:
        answer: The answer, not begun.
        read: Reads each token that was said, the prompt's last one first.
        alpha: Factor of the strength.
        by: What the strength depends on.
    """
    strengths = []
    while answer.is_open():
        (token,) = answer.next_tokens()
        base, other = (logits.float() for logits in read(token))
        strength = contrast_strength(base, alpha, by)
        answer.take([int(contrast(base, other, strength).argmax())])
        strengths.append(strength.item())
    return Contrasted(answer.result(), torch.tensor(strengths))
