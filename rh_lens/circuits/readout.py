"""From the residual stream to one token's logit, with the final norm held fixed."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_choice
from rh_lens.circuits.answer_pass import AnswerPass, Stream
from rh_lens.runtime import Bridge

Against: TypeAlias = Literal["nothing", "vocabulary"]
"""What a token's logit is compared with: nothing, or the mean logit of all tokens."""


@dataclass(frozen=True, eq=False)
class Readout:
    r"""How the logit of each row's token is read from the stream: $x \cdot d + c$.

    Args:
        direction: $d$, one a row.
        constant: $c$, of the biases of norm and unembedding.
        logit: What comes out, one a row.
    """

    direction: Stream
    constant: Float[Tensor, " row"]
    logit: Float[Tensor, " row"]


def require_against(against: str) -> None:
    """Refuse what a logit can't be compared with.

    Raises:
        TypeError: It is no text.
        ValueError: It is unknown.
    """
    require_choice("against", against, ("nothing", "vocabulary"))


def frozen_readout(found: AnswerPass, against: Against, *, norm: bool = True) -> Readout:
    r"""Readout of the answer's tokens.

    With the unembedding vector $u_k$ of token $k$ (less the mean of all for "vocabulary") and the
    final norm's weight $g$ and scale $\sigma$, as they are in that row,
    $d = g \odot u_k / \sigma$, without its mean where the norm subtracts the mean. The sum over all
    that the stream is made of, plus $c$, is the logit exactly.

    Args:
        found: The answer's rows.
        against: What the logit is compared with.
        norm: False leaves the final norm out: $d = u_k$, $c$ is the unembedding's bias, and sums
            are no logits.

    Raises:
        ValueError: The final norm is neither an RMSNorm nor a LayerNorm.
    """
    model = found.context.model
    unembedding, bias = _unembedding(model, found.answer, against)
    logit = _logit(found.unembedded, found.answer, against)
    if not norm:
        return Readout(unembedding, bias, logit)
    factor, centred, norm_bias = _norm(model, found.after, found.readable)
    direction = unembedding * factor
    if centred:
        direction = direction - direction.mean(dim=-1, keepdim=True)
    return Readout(direction, bias + unembedding @ norm_bias, logit)


def _unembedding(
    model: Bridge, tokens: Int[Tensor, " row"], against: Against
) -> tuple[Stream, Float[Tensor, " row"]]:
    weight = model.W_U.detach()
    bias = getattr(model, "b_U", None)
    bias = weight.new_zeros(weight.shape[1]) if bias is None else bias.detach()
    vectors, biases = weight[:, tokens].T.float(), bias[tokens].float()
    if against == "vocabulary":
        return vectors - weight.float().mean(dim=1), biases - bias.float().mean()
    return vectors, biases


def _logit(
    logits: Float[Tensor, "row d_vocab"], tokens: Int[Tensor, " row"], against: Against
) -> Float[Tensor, " row"]:
    own = logits.gather(-1, tokens[:, None])[:, 0]
    return own - logits.mean(dim=-1) if against == "vocabulary" else own


def _norm(
    model: Bridge, stream: Stream, readable: Stream
) -> tuple[Stream, bool, Float[Tensor, " d_model"]]:
    """Factor of the final norm in each row, whether it subtracts the mean, and its bias.

    Found by trying: configurations name norms in many ways, and a wrong guess would be silent.
    """
    norm: Any = getattr(model, "ln_final", None)
    weight = getattr(norm, "weight", None)
    weight = stream.new_ones(stream.shape[1]) if weight is None else weight.detach().float()
    bias = getattr(norm, "bias", None)
    bias = torch.zeros_like(weight) if bias is None else bias.detach().float()
    eps = float(getattr(model.cfg, "eps", 1e-6))
    for centred in (False, True):
        inner = stream - stream.mean(dim=-1, keepdim=True) if centred else stream
        scale = (inner.square().mean(dim=-1, keepdim=True) + eps).rsqrt()
        for factor in (weight * scale, (1 + weight) * scale):
            if (inner * factor + bias - readable).norm() <= 1e-3 * readable.norm():
                return factor, centred, bias
    raise ValueError(
        f"Expected a final RMSNorm or LayerNorm in {model.cfg.model_name!r}; found one that is "
        "neither, or something else between stream and unembedding. Use norm=False where it can "
        "be asked for, or patching instead."
    )
