"""Attention of chosen heads while an answer is said, whole rows of it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_tensor, require_type, shown
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge, FwdHooks, attention_layers, must_fire, teacher_force


@dataclass(frozen=True, eq=False)
class AnswerPatterns:
    """Attention rows of some heads: row t predicted answer token t.

    Args:
        pattern: Attention of each row on the prompt and the answer's tokens before it, in fp32; 0
            where a row can't look.
        heads: The heads, in the order of the first axis.
        prompt: The prompt.
        answer: Token ids of the answer.
    """

    pattern: Float[Tensor, "head row key"]
    heads: tuple[Head, ...]
    prompt: NeedlePrompt
    answer: Int[Tensor, " row"]

    __repr__ = short_repr


def answer_patterns(
    model: Bridge, prompt: NeedlePrompt, answer: Int[Tensor, " row"], heads: HeadsLike
) -> AnswerPatterns:
    """Attention rows of some heads while a given answer is fed after a prompt.

    Fed with what the model answered (`trial.tokens`), they are the rows of that answer. Only these
    rows are kept: heads x answer x context numbers.

    Args:
        model: A TransformerBridge.
        prompt: The prompt.
        answer: Token ids, one or more; `trial.tokens`, say.
        heads: One or more heads.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no head or no token, a head is not the model's, or prompt and answer do
            not fit the context window.

    Examples:
        >>> found = answer_patterns(model, prompt, trials[0].tokens, heads[:2])
        >>> found.pattern.shape
        torch.Size([2, 6, 133])
    """
    require_type("prompt", prompt, NeedlePrompt, remedy="Take one of build_grid, or trial.prompt.")
    require_tensor("answer", answer, [" row"], whole=True)
    chosen = as_heads(heads)
    layers, n_heads = attention_layers(model), int(model.cfg.n_heads)
    absent = [head.label for head in chosen if head.layer not in layers or head.head >= n_heads]
    if absent or not chosen:
        raise ValueError(
            f"Expected one or more heads of layers {shown(list(layers))} with {n_heads} heads "
            f"each; found {shown(absent)}. Name heads with attention."
        )
    listener = _Listener(chosen, len(prompt.tokens), len(answer))
    with must_fire(listener.fwd_hooks()) as hooks:
        teacher_force(model, prompt.tokens, answer, decode_hooks=list(hooks))
    return AnswerPatterns(listener.pattern, chosen, prompt, answer.cpu())


class _Listener:
    """Keeps the rows of some heads from passes over an answer.

    Args:
        heads: The heads.
        n_prompt: Tokens in the prompt; its last one is the first row.
        n_rows: Tokens of the answer.
    """

    def __init__(self, heads: tuple[Head, ...], n_prompt: int, n_rows: int) -> None:
        self.heads = heads
        self.first = n_prompt - 1
        self.pattern = torch.zeros(len(heads), n_rows, n_prompt + n_rows - 1)
        self.n_rows = {head.layer: 0 for head in heads}

    def fwd_hooks(self) -> FwdHooks:
        return [(f"blocks.{layer}.attn.hook_pattern", self._keep) for layer in self.n_rows]

    def _keep(self, pattern: Float[Tensor, "batch head row key"], hook: object) -> None:
        layer = hook.layer()  # type: ignore[attr-defined]
        done, n_new, n_keys = self.n_rows[layer], *pattern.shape[2:]
        # A window may have dropped the first keys: the last one is the last row's own.
        n_read = self.first + done + n_new
        keys = slice(n_read - n_keys, n_read)
        for place, head in enumerate(self.heads):
            if head.layer == layer:
                rows = pattern[0, head.head].float().cpu()
                self.pattern[place, done : done + n_new, keys] = rows
        self.n_rows[layer] = done + n_new
