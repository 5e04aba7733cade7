"""Replacing the outputs of heads at `hook_z`, before the output projection."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_number, require_type
from rh_lens.heads import HeadsLike, as_heads
from rh_lens.interventions.editing import (
    HeadEdit,
    Hooks,
    edit_outputs,
    head_counts,
    require_heads,
)
from rh_lens.interventions.head_outputs import HeadOutputs
from rh_lens.runtime import Bridge, in_pieces


def zero_ablation(heads: HeadsLike, *, model: Bridge | None = None) -> Hooks:
    """Forward hooks that replace the listed heads' outputs by zero: z_h := 0 at every position.

    The heads then add nothing to the residual stream, in the prefill and in decoding alike:

        with model.hooks(fwd_hooks=zero_ablation(heads)):
            ...

    Args:
        heads: Query heads, in any notation of `as_heads`; none gives no hook.
        model: Whose heads they are: they are checked at once. Needed where values have another size
            than `model.cfg.d_head`, as in multi-head latent attention (DeepSeek): TransformerLens
            splits z there into other pieces than heads.

    Returns:
        One (hook name, function) for each layer, for `model.hooks` or `run_with_hooks`. The
        function raises ValueError when the layer has no such head.

    Raises:
        TypeError: An argument is of another type.
        ValueError: `model` has no such head.

    Examples:
        >>> with model.hooks(fwd_hooks=zero_ablation(heads)):
        ...     logits = model(prompt.tokens[None])
        >>> needle_recall(model, new_prompts, {"silenced": zero_ablation(heads)}, progress=False)
        RecallResult(4 prompts; mean recall: silenced 0.09)
    """
    return _scaled(heads, 0.0, model)


def scale_heads(heads: HeadsLike, factor: float, *, model: Bridge | None = None) -> Hooks:
    """Forward hooks that multiply the listed heads' outputs: z_h := factor * z_h.

    A factor above 1 amplifies, one below 0 reverses; 1 leaves every bit as it is.

    Args:
        heads: Query heads, in any notation of `as_heads`; none gives no hook.
        factor: A finite number.
        model: As in `zero_ablation`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The factor is not finite, or `model` has no such head.

    Examples:
        >>> with model.hooks(fwd_hooks=scale_heads(heads, 0.5)):
        ...     print(greedy_decode(model, prompt.tokens, stop=stop).text)
         velvet comet eleven.
    """
    remedy = "Use 0 to silence a head, or mean_ablation to replace what it says."
    require_number("factor", factor, remedy=remedy)
    return _scaled(heads, factor, model)


def mean_ablation(heads: HeadsLike, means: HeadOutputs) -> Hooks:
    """Forward hooks that replace the listed heads' outputs by their mean: z_h := mean of z_h.

    The heads then say at every position what they say on average, and nothing of the prompt.

    Args:
        heads: Query heads, in any notation of `as_heads`; none gives no hook.
        means: From `mean_head_outputs`, or `HeadOutputs.mean`: one row.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is more than one row, or none of a listed head.

    Examples:
        >>> means = mean_head_outputs(model, prompts)  # of other needles
        >>> with model.hooks(fwd_hooks=mean_ablation(heads, means)):
        ...     needle_recall(model, new_prompts, progress=False)
        RecallResult(4 prompts; mean recall: plain 0.04)
    """
    require_type("means", means, HeadOutputs, remedy="Make them with mean_head_outputs.")
    if means.n_rows != 1:
        raise ValueError(
            f"Expected the heads' means, one row; found {means.n_rows} rows. Take their mean with "
            "means.mean(), or use resample_ablation for the outputs of one prompt."
        )
    return _replaced(heads, means)


def resample_ablation(heads: HeadsLike, donor: HeadOutputs) -> Hooks:
    """Forward hooks that replace the listed heads' outputs by those of another prompt.

    With one donor row, every position gets it: the answer then depends neither on how the prompt is
    read in pieces nor on drafts. With several, position p gets row p: for passes of whole prompts
    without a KV cache, of as many tokens, such as `model(tokens)`. Everything in this package reads
    prompts in pieces, where the hook would give row p to a later position: it refuses there.

    Args:
        heads: Query heads, in any notation of `as_heads`; none gives no hook.
        donor: From `head_outputs`; `donor.draw(seed)` is one of its rows.

    Returns:
        One (hook name, function) for each layer. With several rows the function raises ValueError
        when the pass has another number of positions, or may be a piece of a prompt.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are no outputs of a listed head.

    Examples:
        >>> donor = head_outputs(model, new_prompts[0]).draw(seed=0)
        >>> hooks = resample_ablation(heads, donor)
        >>> needle_recall(model, prompts[:2], {"resampled": hooks}, progress=False)
        RecallResult(2 prompts; mean recall: resampled 0.00)
    """
    require_type("donor", donor, HeadOutputs, remedy="Make it with head_outputs.")
    return _replaced(heads, donor)


def _scaled(heads: HeadsLike, factor: float, model: Bridge | None) -> Hooks:
    """Hooks that multiply heads' outputs; by zero also where they are not finite."""
    heads = as_heads(heads)
    counts = {} if model is None else head_counts(model)
    if model is not None:
        require_heads(heads, counts)
    return edit_outputs(heads, lambda layer, indices: partial(_scale, factor), counts)


def _scale(
    factor: float, z: Float[Tensor, "batch pos head d_head"]
) -> Float[Tensor, "batch pos head d_head"]:
    return z * factor if factor else torch.zeros_like(z)


def _replaced(heads: HeadsLike, donor: HeadOutputs) -> Hooks:
    """Hooks that put a donor's rows in place of heads' outputs."""
    heads = as_heads(heads)
    counts = {layer: rows.shape[1] for layer, rows in donor.values.items()}
    require_heads(heads, counts)

    def edit_of(layer: int, indices: list[int]) -> HeadEdit:
        return _Replacement(donor.values[layer][:, indices])

    return edit_outputs(heads, edit_of, counts)


class _Replacement:
    """Donor rows of some heads, on the device where they are needed.

    Args:
        rows: What to put in place of the heads' outputs.
    """

    def __init__(self, rows: Float[Tensor, "row head d_head"]) -> None:
        self.rows = rows

    def __call__(
        self, z: Float[Tensor, "batch pos head d_head"]
    ) -> Float[Tensor, "batch pos head d_head"]:
        n_rows, n_positions = len(self.rows), z.shape[1]
        if n_rows > 1 and in_pieces():
            raise ValueError(
                f"Expected one donor row, as prompts are read in pieces here; found {n_rows} rows: "
                "row p would go to later positions too. Take one with donor.draw(seed), or run "
                "whole prompts in one pass of your own, model(tokens)."
            )
        if n_rows not in (1, n_positions):
            raise ValueError(
                f"Expected one donor row, or one for each of the pass's {n_positions} positions; "
                f"found {n_rows}. Take one with donor.draw(seed), or run whole prompts of "
                f"{n_rows} tokens in one pass."
            )
        # Moved once: a copy to an accelerator for every step would cost more than the edit.
        self.rows = self.rows.to(z.device, z.dtype)
        return self.rows.expand(len(z), n_positions, *z.shape[2:])
