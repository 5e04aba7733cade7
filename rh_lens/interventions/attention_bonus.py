"""Attention that looks more at chosen positions."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_flag, require_number
from rh_lens.heads import HeadsLike, as_heads
from rh_lens.interventions.editing import HeadEdit, Hooks, edit_scores
from rh_lens.interventions.knockout import cutting_windows, key_positions, require_positions
from rh_lens.interventions.uniform import uniform_attention, visible_keys
from rh_lens.runtime import Bridge


def add_attention_bonus(
    model: Bridge,
    heads: HeadsLike,
    keys: tuple[int, int] | Sequence[int],
    bonus: float,
    *,
    keeps_all_keys: bool | None = None,
) -> Hooks:
    r"""Forward hooks that add a bonus to the listed heads' attention scores on the given keys.

    $s_{qk} := s_{qk} + b$ before the softmax, for every row of a pass: the odds of a look at these
    keys rise by the factor $e^b$ (and fall with $b < 0$). What a mask hides stays hidden. As
    decoding hooks they force heads to look at a span while the answer is said:

        hooks = add_attention_bonus(model, heads, prompt.needle_span, 4.0)
        greedy_decode(model, prompt.tokens, stop=stop, decode_hooks=hooks)

    Args:
        model: A TransformerBridge; it runs a few tokens, to see that edits of scores act.
        heads: Query heads, in any notation of `as_heads`; none gives no hook.
        keys: Absolute positions: a half-open span as a tuple (start, stop), or a list of positions.
        bonus: A finite number; 0 leaves every bit as it is.
        keeps_all_keys: As in `knock_out_edges`.

    Returns:
        One (hook name, function) for each layer, at `hook_attn_scores`. The function raises
        ValueError where `knock_out_edges` does.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The model has no such head, edits of attention have no effect in it, the keys
            are none or negative, the bonus is not finite, or `keeps_all_keys` must be said.

    Examples:
        >>> hooks = add_attention_bonus(model, heads, prompt.answer_span, 2.0)
        >>> greedy_decode(model, prompt.tokens, stop=stop, decode_hooks=hooks).text
        ' velvet comet eleven.'
    """
    if keeps_all_keys is not None:
        require_flag("keeps_all_keys", keeps_all_keys)
    require_number("bonus", bonus)
    heads, positions = as_heads(heads), key_positions(keys)
    # What makes attention uniform there can tilt it as well.
    uniform_attention(model, heads)
    windows = cutting_windows(model, heads, keeps_all_keys)
    dtype = model.cfg.dtype

    def edit_of(layer: int) -> HeadEdit:
        def tilt(scores: Float[Tensor, "batch head query key"]) -> Tensor:
            require_positions(layer, scores, positions, windows.get(layer))
            added = torch.zeros(scores.shape[-1], dtype=scores.dtype, device=scores.device)
            added[positions] = bonus
            return torch.where(visible_keys(scores, dtype), scores + added, scores)

        return tilt

    return edit_scores(heads, edit_of)
