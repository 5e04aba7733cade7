"""What the rows that predict an answer hold: stream, head outputs, attention and logits."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from rh_lens.circuits.head_writes import output_matrix
from rh_lens.circuits.rerun import Outputs, Rerun, with_answer
from rh_lens.interventions.editing import head_counts
from rh_lens.runtime import Bridge, Context

Stream = Float[Tensor, "row d_model"]


@dataclass(frozen=True, eq=False)
class AnswerPass:
    """The rows that predict an answer, in fp32.

    Args:
        context: The model with prompt and answer in its KV cache.
        answer: The answer that was fed.
        logits: What the model says in each row.
        outputs: Every head's output z, by layer.
        before: Residual stream before each layer.
        after_attention: Residual stream between attention and MLP, in layers where one follows the
            other.
        after: Residual stream after the last layer.
        readable: What the unembedding reads: the stream after the final norm.
        unembedded: What it gives, before any soft cap or scale of logits.
        patterns: Attention over all positions, in the layers that were asked for.
    """

    context: Context
    answer: Int[Tensor, " row"]
    logits: Float[Tensor, "row d_vocab"]
    outputs: Outputs
    before: Mapping[int, Stream]
    after_attention: Mapping[int, Stream]
    after: Stream
    readable: Stream
    unembedded: Float[Tensor, "row d_vocab"]
    patterns: Mapping[int, Float[Tensor, "head row key"]]

    def attention(self, layer: int) -> Stream:
        """What a layer's attention adds to the stream, where its MLP follows it."""
        return self.after_attention[layer] - self.before[layer]

    def values(self, layer: int) -> Float[Tensor, "kv_head pos d_head"]:
        """A layer's values at all positions, from the KV cache."""
        held: Tensor = self.context.cache.layers[layer].values[0]
        return held.float()


def answer_pass(
    context: Context,
    prompt: Int[Tensor, " pos"],
    answer: Int[Tensor, " row"],
    *,
    pattern_layers: Collection[int] = (),
) -> AnswerPass:
    """The rows that predict an answer, which is fed after a prompt.

    Args:
        context: From `open_context`, inside `inference`.
        prompt: Token ids.
        answer: Token ids of the answer.
        pattern_layers: Layers whose attention is kept.
    """
    names = _stream_points(context.model)
    n_keys = len(prompt) + len(answer) - 1
    kept: dict[tuple[str, int], list[Tensor]] = {place: [] for place in names.values()}
    seen: dict[int, list[Tensor]] = {layer: [] for layer in pattern_layers}

    def keeping(place: tuple[str, int]) -> Any:
        def keep(tensor: Tensor, hook: Any) -> None:
            kept[place].append(tensor.detach()[0].float().clone())

        return keep

    def keep_pattern(pattern: Float[Tensor, "1 head row key"], hook: Any) -> None:
        seen[hook.layer()].append(pad(pattern[0].float(), (0, n_keys - pattern.shape[-1])))

    rerun = Rerun(context, with_answer(prompt, answer), len(prompt) - 1, len(answer))
    logits, outputs = rerun.outputs(
        [
            *((name, keeping(place)) for name, place in names.items()),
            *((f"blocks.{layer}.attn.hook_pattern", keep_pattern) for layer in seen),
        ]
    )
    rows = {place: torch.cat(parts) for place, parts in kept.items()}

    def of(kind: str) -> dict[int, Tensor]:
        return {layer: stream for (name, layer), stream in rows.items() if name == kind}

    return AnswerPass(
        context,
        answer.to(logits.device),
        logits.float(),
        {layer: z.float() for layer, z in outputs.items()},
        of("before"),
        of("middle"),
        rows["after", 0],
        rows["readable", 0],
        rows["unembedded", 0],
        {layer: torch.cat(parts, dim=1) for layer, parts in seen.items()},
    )


def _stream_points(model: Bridge) -> dict[str, tuple[str, int]]:
    """Hook points of the residual stream and what reads it, with a name and a layer for each."""
    n_layers = int(model.cfg.n_layers)
    names = {f"blocks.{layer}.hook_resid_pre": ("before", layer) for layer in range(n_layers)}
    names |= {
        f"blocks.{layer}.hook_resid_mid": ("middle", layer)
        for layer in range(n_layers)
        if f"blocks.{layer}.hook_resid_mid" in model.hook_dict
    }
    names[f"blocks.{n_layers - 1}.hook_resid_post"] = ("after", 0)
    return names | {"unembed.hook_in": ("readable", 0), "unembed.hook_out": ("unembedded", 0)}


def head_writes(
    found: AnswerPass, layer: int
) -> tuple[Float[Tensor, "head d_head d_model"], Stream]:
    r"""What a layer's head outputs are multiplied with on their way into the residual stream.

    Returns:
        The output matrix of each head, and a factor for each row and dimension: 1, or that of a
        norm after the attention (Gemma 2), held fixed as it was in that row. Head h adds
        $(z_h W_h) \odot f$.

    Raises:
        ValueError: Heads and bias do not add up to what the attention adds to the stream.
    """
    model = found.context.model
    n_heads = head_counts(model)[layer]
    matrix = output_matrix(model, layer, n_heads).detach().float()
    written = torch.einsum("rhd,hdm->rm", found.outputs[layer], matrix)
    bias = getattr(model.blocks[layer].attn, "b_O", None)
    written = written if bias is None else written + bias.float()
    if layer not in found.after_attention:
        # Attention and MLP read the same stream and are added together: nothing to compare with.
        return matrix, torch.ones_like(written)
    added = found.attention(layer)
    for factor in _norm_factors(model.blocks[layer], written):
        if (written * factor - added).norm() <= 1e-2 * added.norm():
            return matrix, factor
    raise ValueError(
        f"Expected head outputs that add up to what attention adds to the stream in layer {layer}; "
        f"found a difference of {float((written - added).norm() / added.norm()):.0%}. The "
        "architecture does something else after its output projection: use patching instead."
    )


def _norm_factors(block: Any, written: Stream) -> list[Stream]:
    """Factors to try: none, and those of a norm after the attention, with fixed scale."""
    factors = [torch.ones_like(written)]
    norm = getattr(block, "ln1_post", None)
    weight = None if norm is None else getattr(norm, "weight", None)
    if weight is not None:
        scale = (written.square().mean(dim=-1, keepdim=True) + 1e-6).rsqrt()
        factors += [weight.detach().float() * scale, (1 + weight.detach().float()) * scale]
    return factors
