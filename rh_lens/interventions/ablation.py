"""Silencing heads at `hook_z`, the output of each head before the output projection."""

from collections.abc import Callable, Iterable
from typing import Any

from jaxtyping import Float
from torch import Tensor

from rh_lens.heads import Head

HeadOutputs = Float[Tensor, "batch pos head d_head"]


def zero_ablation(heads: Iterable[Head]) -> list[tuple[str, Callable[..., Any]]]:
    """Forward hooks that replace the listed heads' outputs by zero: z_h := 0 at every position.

    The heads then add nothing to the residual stream, in the prefill and in decoding alike:

        with model.hooks(fwd_hooks=zero_ablation(heads)):
            ...

    Args:
        heads: Query heads; none gives no hook.

    Returns:
        One (hook name, function) for each layer, for `model.hooks` or `run_with_hooks`. The
        function raises ValueError when the layer has no such head.
    """
    by_layer: dict[int, list[int]] = {}
    for head in sorted(set(heads)):
        by_layer.setdefault(head.layer, []).append(head.head)
    return [
        (f"blocks.{layer}.attn.hook_z", _zeroing(layer, indices))
        for layer, indices in by_layer.items()
    ]


def _zeroing(layer: int, indices: list[int]) -> Callable[..., HeadOutputs]:
    """Hook that zeroes these heads of one layer."""

    def zero_heads(z: HeadOutputs, hook: Any) -> HeadOutputs:
        if indices[-1] >= z.shape[2]:
            raise ValueError(
                f"Expected heads below {z.shape[2]} in layer {layer}; found head {indices[-1]}. "
                "Check that the heads belong to this model."
            )
        z = z.clone()
        z[:, :, indices] = 0
        return z

    return zero_heads
