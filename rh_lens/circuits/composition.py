"""Which heads could feed which, by their weights: Q-, K- and V-composition."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_choice, require_list, require_seed, require_whole_number
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions.editing import head_counts, require_heads
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge, attention_layers

CompositionKind: TypeAlias = Literal["Q", "K", "V"]
"""Which input of the reading head is fed: query, key or value."""

_KINDS: tuple[CompositionKind, ...] = ("Q", "K", "V")


@dataclass(frozen=True, eq=False)
class Composition:
    """How much of what each head writes each later head's weights read.

    Args:
        values: Scores in [0, 1] by kind (Q, K, V), writing head and reading head; NaN where the
            reader is in no later layer.
        chance: Mean score of random matrices of the same shapes, by kind.
    """

    values: Float[Tensor, "kind layer head reader_layer reader_head"]
    chance: Float[Tensor, " kind"]

    __repr__ = short_repr

    def into(self, heads: HeadsLike, kind: CompositionKind) -> Float[Tensor, "layer head"]:
        """Mean score of each head with some readers, less the score of chance.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The kind is unknown, or there are no heads or no such one.
        """
        require_choice("kind", kind, _KINDS)
        readers = require_list("heads", as_heads(heads), Head, at_least=1)
        n_layers, n_heads = self.values.shape[-2:]
        require_heads(readers, dict.fromkeys(range(n_layers), n_heads))
        place = _KINDS.index(kind)
        scores = [self.values[place, ..., head.layer, head.head] for head in readers]
        return torch.stack(scores).mean(dim=0) - self.chance[place]

    def top(self, k: int = 5, kind: CompositionKind = "K") -> list[tuple[str, str, float]]:
        """The pairs of writer and reader with the highest scores, and these.

        Raises:
            TypeError: An argument is of another type.
            ValueError: k is below 1, or the kind is unknown.
        """
        require_whole_number("k", k, at_least=1, remedy="Ask for one or more.")
        require_choice("kind", kind, _KINDS)
        scores = self.values[_KINDS.index(kind)].nan_to_num(nan=-torch.inf)
        found = []
        for index in scores.flatten().argsort(descending=True)[:k].tolist():
            places = [int(one) for one in torch.unravel_index(torch.tensor(index), scores.shape)]
            writer, reader = Head(*places[:2]), Head(*places[2:])
            found.append((writer.label, reader.label, float(scores.flatten()[index])))
        return found

    def to_dataframe(self) -> pd.DataFrame:
        """One row a kind, writer and later reader: kind, writer, reader, score, above_chance."""
        return pd.DataFrame(
            [
                {
                    "kind": _KINDS[kind],
                    "writer": Head(layer, head).label,
                    "reader": Head(reader_layer, reader_head).label,
                    "score": float(self.values[kind, layer, head, reader_layer, reader_head]),
                    "above_chance": float(
                        self.values[kind, layer, head, reader_layer, reader_head]
                        - self.chance[kind]
                    ),
                }
                for kind, layer, head, reader_layer, reader_head in (~self.values.isnan())
                .nonzero()
                .tolist()
            ]
        )


def composition_scores(model: Bridge, *, n_draws: int = 20, seed: int = 0) -> Composition:
    r"""Q-, K- and V-composition of all pairs of heads, by the bridge's own scores.

    $\lVert W_{OV} W \rVert_F / (\lVert W_{OV} \rVert_F \lVert W \rVert_F)$ with the reader's
    $W_{QK}$, its transpose or its $W_{OV}$ (Elhage et al. 2021), from
    `TransformerBridge.all_composition_scores`. Norms, rotary positions and what MLPs do in between
    are left out: a high score says that a path exists, `path_patch` whether it is used.

    Args:
        model: A TransformerBridge.
        n_draws: Random pairs of matrices that the score of chance is the mean of.
        seed: Seed of these.

    Raises:
        TypeError: An argument is of another type.
        ValueError: An argument is out of range, or the model's heads have weights of another kind.

    Examples:
        >>> found = composition_scores(model, n_draws=2)
        >>> found.top(2)
        [('L0H5', 'L2H5', 0.25500521063804626), ('L0H2', 'L2H5', 0.2543700635433197)]
    """
    layers = attention_layers(model)
    require_whole_number("n_draws", n_draws, at_least=1, at_most=10_000)
    require_seed("seed", seed)
    n_layers, n_heads = int(model.cfg.n_layers), max(head_counts(model).values())
    values = torch.full((3, n_layers, n_heads, n_layers, n_heads), torch.nan)
    for place, kind in enumerate(_KINDS):
        scores = _scores(model, kind)
        for writer, layer in enumerate(layers):
            for reader, reader_layer in enumerate(layers[writer + 1 :], start=writer + 1):
                values[place, layer, :, reader_layer] = scores[writer, :, reader]
    return Composition(values, _chance(model, n_draws, seed))


def _scores(model: Bridge, kind: CompositionKind) -> Tensor:
    """The bridge's own scores, by layers with attention."""
    try:
        return model.all_composition_scores(kind).scores.detach().float().cpu()
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"Expected heads with query, key, value and output matrices of their own in "
            f"{model.cfg.model_name!r}; found that TransformerLens can't compare them: {error}. "
            "Use path_patch."
        ) from error


def _chance(model: Bridge, n_draws: int, seed: int) -> Float[Tensor, " kind"]:
    """Mean score of random matrices; writer and reader are products of the same shapes."""
    from transformer_lens import FactoredMatrix
    from transformer_lens.utilities import composition_scores as scores_of

    width, d_head = int(model.cfg.d_model), int(model.cfg.d_head)
    generator = torch.Generator().manual_seed(seed)

    def random() -> FactoredMatrix:
        left = torch.randn(n_draws, width, d_head, generator=generator)
        return FactoredMatrix(left, torch.randn(n_draws, d_head, width, generator=generator))

    score = scores_of(random(), random(), broadcast_dims=False)
    return score.mean().expand(3).clone()
