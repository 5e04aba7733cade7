"""Directions in what heads say: added, subtracted, or taken out."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_number, require_seed, require_tensor, require_type
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions.ablation import resample_ablation
from rh_lens.interventions.editing import (
    HeadEdit,
    Hooks,
    edit_outputs,
    head_counts,
    require_heads,
)
from rh_lens.interventions.head_outputs import HeadOutputs
from rh_lens.runtime import Bridge

_Edit: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def add_direction(
    heads: HeadsLike,
    direction: Float[Tensor, "*head d_head"],
    coefficient: float = 1.0,
    *,
    model: Bridge | None = None,
) -> Hooks:
    r"""Forward hooks that add a direction to the listed heads' outputs: $z_h := z_h + c\,d_h$.

    At every position. The directional addition and subtraction of the survey of Zheng et al. 2024
    (arXiv:2409.03752), as inference-time intervention shifts heads (Li et al. 2023,
    arXiv:2306.03341). A negative coefficient subtracts; 0 leaves every bit as it is.

    Args:
        heads: Query heads, in any notation of `as_heads`; none gives no hook.
        direction: One for all heads, `[d_head]`, or one for each in the order of `heads`,
            `[head d_head]`; finite. Its length counts: it is added as it is.
        coefficient: A finite number c.
        model: As in `zero_ablation`.

    Returns:
        One (hook name, function) for each layer.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are not as many directions as heads, a number is not finite, or `model`
            has no such head. The function raises it where the size of a head's output is another.

    Examples:
        >>> hooks = add_direction("L2H4", torch.ones(32), coefficient=0.5)
        >>> needle_recall(model, new_prompts, {"shifted": hooks}, progress=False)
        RecallResult(4 prompts; mean recall: shifted 1.00)
    """
    require_number("coefficient", coefficient, remedy="Use 0 to add nothing.")
    return _edited(heads, direction, partial(_add, coefficient), model)


def project_out(
    heads: HeadsLike, direction: Float[Tensor, "*head d_head"], *, model: Bridge | None = None
) -> Hooks:
    r"""Forward hooks that take a direction out of heads: $z_h := z_h - \hat d_h \hat d_h^\top z_h$.

    At every position; the heads then say nothing along it (Arditi et al. 2024, arXiv:2406.11717,
    on the residual stream).

    Args:
        heads: Query heads, in any notation of `as_heads`; none gives no hook.
        direction: One for all heads, `[d_head]`, or one for each in the order of `heads`; finite
            and not zero. Its length does not count.
        model: As in `zero_ablation`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: As for `add_direction`, or a direction is zero.

    Examples:
        >>> hooks = project_out(heads, torch.eye(32)[0])
        >>> with model.hooks(fwd_hooks=hooks):
        ...     print(greedy_decode(model, prompt.tokens, stop=stop).text)
         velvet comet eleven.
    """
    hooks = _edited(heads, direction, _take_out, model)
    if not (direction.norm(dim=-1) > 0).all():
        raise ValueError(
            "Expected directions that are not zero; found one of length 0. Leave its head out."
        )
    return hooks


def random_ablation(heads: HeadsLike, reference: HeadOutputs, seed: int) -> Hooks:
    """Forward hooks that replace heads' outputs by noise of the same mean and spread.

    Each head gets one vector, drawn from a normal distribution with the mean and the standard
    deviation of each of its coordinates over the reference rows: what it says in size and place,
    and nothing that it means. The same for all positions; `resample_ablation(heads,
    reference.draw(seed))` takes a row that was really said.

    Args:
        heads: Query heads, in any notation of `as_heads`; none gives no hook.
        reference: From `head_outputs`, two rows or more.
        seed: Seed of the draw.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are fewer than two rows, or none of a listed head.

    Examples:
        >>> reference = head_outputs(model, new_prompts[0])
        >>> hooks = random_ablation(heads, reference, seed=0)
        >>> needle_recall(model, prompts[:2], {"noise": hooks}, progress=False)
        RecallResult(2 prompts; mean recall: noise 0.00)
    """
    require_type("reference", reference, HeadOutputs, remedy="Make it with head_outputs.")
    require_seed("seed", seed)
    if reference.n_rows < 2:
        raise ValueError(
            "Expected a reference of two rows or more, to know their spread; found "
            f"{reference.n_rows}. Collect them with head_outputs."
        )
    generator = torch.Generator().manual_seed(seed)
    values = {
        layer: _like(rows.double(), generator).to(rows.dtype)
        for layer, rows in reference.values.items()
    }
    drawn = HeadOutputs(values, reference.kind, 1, reference.prompts)
    return resample_ablation(heads, drawn)


def _like(
    rows: Float[Tensor, "row head d_head"], generator: torch.Generator
) -> Float[Tensor, "1 head d_head"]:
    """One normal draw with the mean and the standard deviation of some rows."""
    noise = torch.randn(rows.shape[1:], generator=generator, dtype=rows.dtype)
    return (rows.mean(dim=0) + noise * rows.std(dim=0))[None]


def _edited(
    heads: HeadsLike, direction: Float[Tensor, "*head d_head"], edit: _Edit, model: Bridge | None
) -> Hooks:
    """Hooks that edit each head with its own direction."""
    named = as_heads(heads)
    counts = {} if model is None else head_counts(model)
    if model is not None:
        require_heads(named, counts)
    require_tensor("direction", direction, ("*head", "d_head"))
    one_each = direction.ndim == 2 and len(direction) == len(named) == len(set(named))
    if not torch.isfinite(direction).all() or not (direction.ndim == 1 or one_each):
        raise ValueError(
            "Expected finite directions, one [d_head] for all heads or one for each, [head, "
            f"d_head]; found {list(direction.shape)} for {len(named)} heads. Name each head once."
        )
    own = dict(zip(named, direction.expand(len(named), -1), strict=True))

    def edit_of(layer: int, indices: list[int]) -> HeadEdit:
        return _Directed(torch.stack([own[Head(layer, index)] for index in indices]), edit)

    return edit_outputs(named, edit_of, counts)


class _Directed:
    """An edit with a direction for each head; it can be pickled.

    Args:
        directions: One a head.
        edit: Gives new outputs from outputs and directions.
    """

    def __init__(self, directions: Float[Tensor, "head d_head"], edit: _Edit) -> None:
        self.directions, self.edit = directions, edit

    def __call__(
        self, z: Float[Tensor, "batch pos head d_head"]
    ) -> Float[Tensor, "batch pos head d_head"]:
        if z.shape[-1] != self.directions.shape[-1]:
            raise ValueError(
                f"Expected directions of the size of a head's output, {z.shape[-1]}; found "
                f"{self.directions.shape[-1]}. Take them from head_outputs."
            )
        self.directions = self.directions.to(z.device, z.dtype)
        return self.edit(z, self.directions)


def _add(
    coefficient: float,
    z: Float[Tensor, "batch pos head d_head"],
    directions: Float[Tensor, "head d_head"],
) -> Float[Tensor, "batch pos head d_head"]:
    return z + coefficient * directions if coefficient else z


def _take_out(
    z: Float[Tensor, "batch pos head d_head"], directions: Float[Tensor, "head d_head"]
) -> Float[Tensor, "batch pos head d_head"]:
    unit = directions / directions.norm(dim=-1, keepdim=True)
    return z - (z * unit).sum(dim=-1, keepdim=True) * unit
