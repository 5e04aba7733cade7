"""Attention that looks more at what another head looks at."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_flag, require_number, require_span
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions.editing import HeadEdit, Hooks, edit_scores
from rh_lens.interventions.knockout import cutting_windows
from rh_lens.interventions.uniform import uniform_attention, visible_keys
from rh_lens.runtime import Bridge


def follow_attention(
    model: Bridge,
    leader: HeadsLike,
    heads: HeadsLike,
    bonus: float,
    *,
    span: tuple[int, int] | None = None,
    keeps_all_keys: bool | None = None,
) -> Hooks:
    r"""Forward hooks that add a bonus to heads' attention scores on the key that another points at.

    In every row, $s_{qj} := s_{qj} + b$ before the softmax, with $j = \arg\max_k s^*_{qk}$ of the
    leading head in the same pass: step by step, the odds that the heads look where it does rise by
    the factor $e^b$. Unlike `add_attention_bonus`, it needs not be told where the answer is:

        top, *others = scores.top(4)
        hooks = follow_attention(model, top, others, 4.0, span=prompt.context_span)
        greedy_decode(model, prompt.tokens, stop=stop, decode_hooks=hooks)

    Args:
        model: A TransformerBridge; it runs a few tokens, to see that edits of scores act.
        leader: One head, in any notation of `as_heads`, such as the best retrieval head.
        heads: Which heads follow it, of its layer or later ones; the leader may be among them.
        bonus: A finite number; 0 leaves every bit as it is.
        span: Half-open positions among which the leader's key is looked for, such as the document:
            heads often look at the first token most. None: all.
        keeps_all_keys: As in `knock_out_edges`.

    Returns:
        (hook name, function) pairs at `hook_attn_scores`: one that listens to the leader, then one
        for each layer. The functions raise ValueError where the key axes of two layers differ, or a
        row sees no key of the span.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The model has no such head, there is more than one leader, a head comes before
            it, edits of attention have no effect in the model, the bonus is not finite, or
            `keeps_all_keys` must be said.

    Examples:
        >>> hooks = follow_attention(model, "L2H4", ["L2H2", "L2H5"], 2.0)
        >>> greedy_decode(model, prompt.tokens, stop=stop, decode_hooks=hooks).text
        ' velvet comet eleven.'
    """
    if keeps_all_keys is not None:
        require_flag("keeps_all_keys", keeps_all_keys)
    require_number("bonus", bonus)
    if span is not None:
        require_span("span", span)
    first, followers = _ordered(as_heads(leader), as_heads(heads))
    if not followers:
        return []
    # What makes attention uniform there can tilt it as well.
    uniform_attention(model, [first, *followers])
    cutting_windows(model, [first, *followers], keeps_all_keys)
    dtype = model.cfg.dtype
    led = _Leader(first, span, dtype)

    def edit_of(layer: int) -> HeadEdit:
        def tilt(scores: Float[Tensor, "batch head query key"]) -> Tensor:
            key = led.key_of(layer, scores)
            added = torch.zeros_like(scores).scatter_(
                -1, key[:, None, :, None].expand(*scores.shape[:3], 1).to(scores.device), bonus
            )
            return torch.where(visible_keys(scores, dtype), scores + added, scores)

        return tilt

    listening = (f"blocks.{first.layer}.attn.hook_attn_scores", led.listen)
    return [listening, *edit_scores(followers, edit_of)]


class _Leader:
    """What one head points at in the pass that is under way."""

    def __init__(self, head: Head, span: tuple[int, int] | None, dtype: torch.dtype) -> None:
        self._head, self._span, self._dtype = head, span, dtype
        self._key: Int[Tensor, "batch query"] | None = None
        self._n_keys = 0

    def listen(self, scores: Float[Tensor, "batch head query key"], hook: Any) -> None:
        """Keep the leader's key of every row; nothing is changed."""
        start, stop = self._span or (0, scores.shape[-1])
        rows = scores[:, self._head.head : self._head.head + 1, :, start:stop]
        if not visible_keys(rows, self._dtype).any(dim=-1).all():
            raise ValueError(
                f"Expected every row to see a key of the span {(start, stop)}; found a pass of "
                f"{scores.shape[-1]} keys with a row that sees none. Hold the hooks open while the "
                "answer is decoded, not while the prompt is read."
            )
        self._key, self._n_keys = rows[:, 0].argmax(dim=-1) + start, scores.shape[-1]

    def key_of(
        self, layer: int, scores: Float[Tensor, "batch head query key"]
    ) -> Int[Tensor, "batch query"]:
        """The keys for the rows of another layer's scores."""
        key = self._key
        wanted = (scores.shape[0], scores.shape[2])
        if key is None or tuple(key.shape) != wanted or self._n_keys != scores.shape[-1]:
            raise ValueError(
                f"Expected layer {layer} to have the rows and keys of layer {self._head.layer}, "
                f"where {self._head} points; found other ones: one of them drops keys beyond a "
                "sliding window. Take heads of layers of one kind."
            )
        return key


def _ordered(leaders: tuple[Head, ...], heads: tuple[Head, ...]) -> tuple[Head, tuple[Head, ...]]:
    """The leader and the heads behind it."""
    if len(leaders) != 1:
        raise ValueError(
            f"Expected leader to be one head; found {len(leaders)}. Pass scores.top(1)."
        )
    before = [head.label for head in heads if head.layer < leaders[0].layer]
    if before:
        raise ValueError(
            f"Expected heads in layer {leaders[0].layer} of the leader {leaders[0]} or later ones; "
            f"found {before[0]}, which attends before it. Leave it out, or choose an earlier "
            "leader."
        )
    return leaders[0], heads
