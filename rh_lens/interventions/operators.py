"""Interventions by their names."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, TypeAlias, cast, get_args

from rh_lens.checks import require_choice, require_number, require_type
from rh_lens.heads import Head
from rh_lens.interventions.ablation import mean_ablation, scale_heads, zero_ablation
from rh_lens.interventions.head_outputs import HeadOutputs
from rh_lens.interventions.uniform import uniform_attention
from rh_lens.runtime import Bridge, FwdHooks, require_bridge

OperatorName: TypeAlias = Literal["zero", "scale", "uniform", "mean"]
"""What is done to heads, by name; see `operator_named`."""


def operator_named(
    name: OperatorName,
    model: Bridge,
    *,
    factor: float = 0.5,
    means: HeadOutputs | None = None,
) -> Callable[[Sequence[Head]], FwdHooks]:
    """What is done to heads, as `ablation_curve(operator=...)` takes it.

    Args:
        name: "zero" (`zero_ablation`), "scale" (`scale_heads`), "uniform" (`uniform_attention`) or
            "mean" (`mean_ablation`).
        model: A TransformerBridge.
        factor: Of "scale".
        means: Of "mean", from `mean_head_outputs`.

    Raises:
        TypeError: "mean" comes without means, or an argument is of another type.
        ValueError: There is no such operator, or the factor is not finite.

    Examples:
        >>> operator = operator_named("scale", model, factor=0.5)
        >>> [name for name, _ in operator(heads)]
        ['blocks.2.attn.hook_z']
    """
    require_choice("name", name, get_args(OperatorName))
    require_bridge(model)
    require_number("factor", factor)
    if name == "scale":
        return lambda heads: scale_heads(heads, factor, model=model)
    if name == "uniform":
        return partial(uniform_attention, model)
    if name == "mean":
        require_type("means", means, HeadOutputs, remedy="Take them from mean_head_outputs.")
        kept = cast(HeadOutputs, means)
        return lambda heads: mean_ablation(heads, kept)
    return lambda heads: zero_ablation(heads, model=model)
