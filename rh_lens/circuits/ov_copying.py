"""Whether a head's weights write what they read: its output-value circuit, token by token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_seed, require_whole_number
from rh_lens.circuits.head_writes import by_layer, output_matrix
from rh_lens.heads import Head
from rh_lens.interventions.editing import head_counts
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge, inference, input_device, must_fire, without_hooks

# Tokens a pass: each is a prompt of its own.
_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class CopyingScores:
    r"""How far each head's output-value circuit raises or lowers the logit of what it reads.

    Args:
        eigenvalue: $\sum \lambda_i / \sum |\lambda_i|$ over the circuit's eigenvalues, in [-1, 1].
        rank: Rank of a token's own logit among those of all tokens tried, mean over tokens: 1
            always the highest, -1 always the lowest, 0 in the middle.
        tokens: The tokens tried.
    """

    eigenvalue: Float[Tensor, "layer head"]
    rank: Float[Tensor, "layer head"]
    tokens: Int[Tensor, " token"]

    __repr__ = short_repr

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The heads with the highest rank scores, and these.

        Raises:
            TypeError: k is no whole number.
            ValueError: It is below 1.
        """
        require_whole_number("k", k, at_least=1, remedy="Ask for one or more.")
        order = self.rank.nan_to_num(nan=-torch.inf).flatten().argsort(descending=True)[:k]
        places = [divmod(place, self.rank.shape[1]) for place in order.tolist()]
        return [(Head(*place).label, float(self.rank[place])) for place in places]

    def to_dataframe(self) -> pd.DataFrame:
        """One row a head: layer, head, label, eigenvalue, rank."""
        return pd.DataFrame(
            [
                {
                    "layer": layer,
                    "head": head,
                    "label": Head(layer, head).label,
                    "eigenvalue": float(self.eigenvalue[layer, head]),
                    "rank": float(self.rank[layer, head]),
                }
                for layer, head in (~self.rank.isnan()).nonzero().tolist()
            ]
        )


def copying_scores(model: Bridge, *, n_tokens: int = 1_000, seed: int = 0) -> CopyingScores:
    r"""Copying scores of all heads from their weights: does a head write what it reads?

    The circuit is $M = V_h W_O N U$: values $V_h$ of tokens, each standing alone after the BOS,
    so that lower layers have done to them what they do; the head's output matrix; the final norm
    without its scale; and the unembedding, less its mean. Its eigenvalues are positive where
    tokens raise their own logits (Elhage et al. 2021); its ranks say the same of tokens one by one,
    and with what sign: suppressors (arXiv:2310.04625) are near -1.

    Args:
        model: A TransformerBridge.
        n_tokens: Tokens tried, drawn from the vocabulary; all where it has fewer.
        seed: Seed of the draw.

    Raises:
        TypeError: An argument is of another type.
        ValueError: `n_tokens` is out of range, or the model has latent attention.

    Examples:
        >>> sorted(label for label, _ in copying_scores(model, n_tokens=100).top(4))
        ['L2H2', 'L2H3', 'L2H4', 'L2H5']
    """
    counts = head_counts(model)
    require_whole_number("n_tokens", n_tokens, at_least=2, at_most=100_000)
    require_seed("seed", seed)
    if any(f"blocks.{layer}.attn.hook_kv_latent" in model.hook_dict for layer in counts):
        raise ValueError(
            f"Expected heads with values of their own; found latent attention in "
            f"{model.cfg.model_name!r}. Use write_scores, which reads the KV cache."
        )
    d_vocab = int(model.W_U.shape[1])
    order = torch.randperm(d_vocab, generator=torch.Generator().manual_seed(seed))
    tokens = order[:n_tokens].sort().values
    values = _values_alone(model, tokens, counts)
    with inference(model), without_hooks(model):
        readout = _readout(model, tokens)
        found = {
            layer: _scores(values[layer], output_matrix(model, layer, n).float() @ readout)
            for layer, n in counts.items()
        }
    eigenvalue, rank = (
        by_layer(model, {layer: pair[place] for layer, pair in found.items()}) for place in (0, 1)
    )
    return CopyingScores(eigenvalue, rank, tokens)


def _values_alone(
    model: Bridge, tokens: Int[Tensor, " token"], layers: Sequence[int] | dict[int, int]
) -> dict[int, Float[Tensor, "token kv_head d_head"]]:
    """Values of tokens that stand alone after the BOS, if there is one."""
    kept: dict[int, list[Tensor]] = {layer: [] for layer in layers}

    def keep(values: Float[Tensor, "batch pos kv_head d_head"], hook: Any) -> None:
        kept[hook.layer()].append(values[:, -1].float())

    bos = getattr(model.tokenizer, "bos_token_id", None)
    before = [] if bos is None else [torch.full((len(tokens),), int(bos))]
    prompts = torch.stack([*before, tokens], dim=1).to(input_device(model))
    hooks = [(f"blocks.{layer}.attn.hook_v", keep) for layer in kept]
    with (
        inference(model),
        without_hooks(model),
        must_fire(hooks) as watched,
        model.hooks(fwd_hooks=list(watched)),
    ):
        for start in range(0, len(prompts), _AT_ONCE):
            model(prompts[start : start + _AT_ONCE], return_type=None)
    return {layer: torch.cat(parts) for layer, parts in kept.items()}


def _readout(model: Bridge, tokens: Int[Tensor, " token"]) -> Float[Tensor, "d_model token"]:
    """Final norm without its scale, and unembedding of some tokens, less the mean of all."""
    weight = model.W_U.float()
    unit = torch.eye(weight.shape[0], device=weight.device, dtype=model.W_U.dtype)
    # Of a unit vector, every norm's scale is the same.
    norm = (model.ln_final(unit[None]) - model.ln_final(0 * unit[None]))[0].float()
    return norm @ (weight[:, tokens.to(weight.device)] - weight.mean(dim=1, keepdim=True))


def _scores(
    values: Float[Tensor, "token kv_head d_head"], written: Float[Tensor, "head d_head token"]
) -> tuple[Float[Tensor, " head"], Float[Tensor, " head"]]:
    """Eigenvalue and rank score of each head of a layer."""
    from transformer_lens import FactoredMatrix

    group = len(written) // values.shape[1]
    eigenvalue, rank = [], []
    for head, out in enumerate(written):
        read = values[:, head // group]
        roots = FactoredMatrix(read, out).eigenvalues
        eigenvalue.append(roots.real.sum() / roots.abs().sum())
        logits = read @ out
        own = logits.diagonal()[:, None]
        n_others = logits.shape[1] - 1
        beaten = (logits < own).sum(dim=1) - (logits > own).sum(dim=1)
        rank.append((beaten / n_others).mean())
    return torch.stack(eigenvalue), torch.stack(rank)
