"""Which heads a curve silences: the top K by score, and control draws for each K."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import pandas as pd

from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions import Match, NoControlsError, control_heads
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge, attention_layers

DEFAULT_KS = (0, 1, 2, 5, 10, 20, 50)
Kind: TypeAlias = Literal["none", "top", "control"]


@dataclass(frozen=True)
class HeadSet:
    """Heads that are silenced together.

    Args:
        k: How many.
        kind: "none": the untouched model. "top": the first k of the ranking. "control": random.
        draw: Number of the draw, from 0; None for the other kinds.
        heads: The heads.
    """

    k: int
    kind: Kind
    draw: int | None
    heads: tuple[Head, ...]

    @property
    def condition(self) -> str:
        """Name of the condition: `none`, `top-5`, `control-5-0`."""
        if self.kind == "none":
            return "none"
        return f"top-{self.k}" if self.draw is None else f"control-{self.k}-{self.draw}"


@dataclass(frozen=True)
class AblationPlan:
    """Sets of heads to silence, one after the other.

    Args:
        sets: The untouched model first; then for each K the top K and its controls.
        n_possible: Distinct control sets that exist for each K above 0.
        notes: What is to be said about the controls of a K; only where there is something.
    """

    sets: tuple[HeadSet, ...]
    n_possible: dict[int, int]
    notes: dict[int, str]

    __repr__ = short_repr

    @property
    def ks(self) -> tuple[int, ...]:
        """Numbers of heads, ascending, 0 included."""
        return tuple(sorted({heads.k for heads in self.sets}))

    def of(self, k: int, kind: Kind) -> list[str]:
        """Names of the conditions of one kind that silence k heads."""
        return [heads.condition for heads in self.sets if (heads.k, heads.kind) == (k, kind)]

    def to_dataframe(self) -> pd.DataFrame:
        """One row a set: `condition`, `k`, `kind`, `draw` (missing but for controls), `heads`.

        `heads` holds labels with spaces between them.
        """
        table = pd.DataFrame(
            {
                "condition": [heads.condition for heads in self.sets],
                "k": [heads.k for heads in self.sets],
                "kind": [heads.kind for heads in self.sets],
                "draw": [heads.draw for heads in self.sets],
                "heads": [" ".join(head.label for head in heads.heads) for heads in self.sets],
            }
        )
        return table.astype({"draw": "Int64"})


def plan_ablation(
    model: Bridge,
    ranking: HeadsLike,
    *,
    ks: Sequence[int] | None = None,
    n_controls: int = 10,
    match: Match = "layer",
    exclude: HeadsLike = (),
    seed: int = 0,
) -> AblationPlan:
    """The top K of a ranking and matched random heads, for each K.

    A K for which no control exists gets none, and a note.

    Args:
        model: A TransformerBridge; it is asked for its layers and heads only.
        ranking: Heads, best first, such as `result.scores.ranking()`.
        ks: Numbers of heads; 0, the untouched model, is always among them. None: those of
            0, 1, 2, 5, 10, 20 and 50 that the ranking has.
        n_controls: Control draws for each K; 0 gives none.
        match: What controls share with the top K: see `control_heads`.
        exclude: Heads that are no controls of any K, such as all retrieval heads. Without it, the
            controls of a small K may hold heads that come next in the ranking.
        seed: Seed of the controls.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: The ranking names a head twice or one that the model lacks, or has fewer heads
            than a K, or a K or `n_controls` is negative.
    """
    layers, n_layers = attention_layers(model), int(model.cfg.n_layers)
    n_heads = int(model.cfg.n_heads)
    ranking = as_heads(ranking)
    ks = _require_ks(ks, ranking, n_controls)
    without_attention = [
        Head(layer, head) for layer in set(range(n_layers)) - set(layers) for head in range(n_heads)
    ]
    sets, n_possible, notes = [HeadSet(0, "none", None, ())], {}, {}
    for k in ks:
        sets.append(HeadSet(k, "top", None, tuple(ranking[:k])))
        n_possible[k] = 0
        if not n_controls:
            continue
        try:
            controls = control_heads(
                ranking[:k],
                n_layers=n_layers,
                n_heads=n_heads,
                n_kv_heads=getattr(model.cfg, "n_key_value_heads", None) or n_heads,
                n_draws=n_controls,
                seed=seed,
                match=match,
                exclude=[*as_heads(exclude), *without_attention],
            )
        except NoControlsError as error:
            notes[k] = f"no controls. {error}"
            continue
        sets += [HeadSet(k, "control", i, heads) for i, heads in enumerate(controls.draws)]
        n_possible[k] = controls.n_possible
        if controls.note:
            notes[k] = controls.note
    return AblationPlan(tuple(sets), n_possible, notes)


def _require_ks(ks: Sequence[int] | None, ranking: Sequence[Head], n_controls: int) -> list[int]:
    """The Ks above 0, ascending, each once."""
    n = len(ranking)
    if n != len(set(ranking)):
        raise ValueError(
            f"Expected a ranking of distinct heads; found {n} entries and {len(set(ranking))} "
            "heads. Name each head once."
        )
    wanted = [k for k in DEFAULT_KS if k <= n] if ks is None else ks
    wrong = [k for k in wanted if not 0 <= k <= n]
    if wrong or n_controls < 0:
        raise ValueError(
            f"Expected numbers of heads from 0 to {n}, the heads of the ranking, and 0 or more "
            f"controls; found {wrong or list(wanted)} and {n_controls}. Leave the others out."
        )
    return sorted(set(wanted) - {0})
