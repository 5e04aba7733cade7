"""What can be read off heads: their features, and linear probes cross-validated by unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rh_lens.checks import (
    MAX_REPEATS,
    require_choice,
    require_list,
    require_number,
    require_seed,
    require_tensor,
    require_type,
    require_whole_number,
    shown,
)
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.representation import short_repr

At: TypeAlias = Literal["z", "pattern", "residual"]


@dataclass(frozen=True, eq=False)
class HeadFeatures:
    """Numbers of chosen heads on some examples, to learn from.

    With scikit-learn: `cross_val_score(model, features.values.numpy(), labels,
    groups=features.units, cv=GroupKFold())`. Without it: `probe_heads(features, labels)`.

    Args:
        values: The numbers, in fp32.
        columns: Which head each feature is of; for "residual" the first of its layer's.
        names: What each feature is, such as "L2H4 z 0" or "L2H4 needle".
        at: Where they were taken.
        units: What each example is counted as, such as its needle's name.

    Raises:
        TypeError: A field is of another type.
        ValueError: Columns, names or units are not as many as features or examples, or a value is
            not finite.
    """

    values: Float[Tensor, "example feature"]
    columns: tuple[Head, ...]
    names: tuple[str, ...]
    at: At
    units: tuple[str, ...]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_tensor("values", self.values, ("example", "feature"))
        require_list("columns", self.columns, Head)
        require_list("names", self.names, str)
        require_list("units", self.units, str)
        require_choice("at", self.at, get_args(At))
        n_examples, n_features = self.values.shape
        counts = {"columns": len(self.columns), "names": len(self.names)}
        if not torch.isfinite(self.values).all():
            raise ValueError("Expected values that are finite; found NaN or inf. Leave them out.")
        if set(counts.values()) != {n_features} or len(self.units) != n_examples:
            raise ValueError(
                f"Expected columns and names for each of {n_features} features of the values, and "
                f"units for each of {n_examples} examples; found {counts} and {len(self.units)}. "
                "Name one for each."
            )

    def of(self, heads: HeadsLike) -> "HeadFeatures":
        """The features of some of the heads.

        Raises:
            TypeError: Something names no head.
            ValueError: There is no feature of one.
        """
        wanted = set(as_heads(heads))
        if not wanted or not wanted <= set(self.columns):
            has = sorted({head.label for head in self.columns})
            raise ValueError(
                f"Expected heads among {shown(has)}; found "
                f"{shown(sorted(head.label for head in wanted))}. Collect them with head_features."
            )
        places = [place for place, head in enumerate(self.columns) if head in wanted]
        return HeadFeatures(
            self.values[:, places],
            tuple(self.columns[place] for place in places),
            tuple(self.names[place] for place in places),
            self.at,
            self.units,
        )

    def to_dataframe(self) -> pd.DataFrame:
        """One row an example: `unit`, then a column for each feature."""
        table = pd.DataFrame(self.values.numpy(), columns=list(self.names))
        table.insert(0, "unit", list(self.units))
        return table


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """How well labels can be read off features, beside labels that were shuffled.

    Accuracy is balanced: the mean of the two classes' shares of right answers, 0.5 by chance.

    Args:
        accuracy: Of each split, on units that were not learnt from.
        shuffled: The same with labels shuffled; one row a shuffle.
        n_examples: Examples.
        n_units: Units, of which whole ones are held out.
        share_positive: Share of the examples with a true label.
    """

    accuracy: Float[np.ndarray, " split"]
    shuffled: Float[np.ndarray, "shuffle split"]
    n_examples: int
    n_units: int
    share_positive: float

    __repr__ = short_repr

    @property
    def selectivity(self) -> float:
        """Mean accuracy less that of shuffled labels (Hewitt and Liang 2019, arXiv:1909.03368)."""
        return float(self.accuracy.mean() - self.shuffled.mean()) if len(self.shuffled) else np.nan

    @property
    def p(self) -> float:
        """Share of the shuffles, and of the labels as they are, that do as well or better."""
        as_good = (self.shuffled.mean(axis=1) >= self.accuracy.mean()).sum()
        return float((1 + as_good) / (1 + len(self.shuffled))) if len(self.shuffled) else np.nan

    def to_dataframe(self) -> pd.DataFrame:
        """One row: accuracy, its range over splits, that of shuffled labels, selectivity, p."""
        chance = self.shuffled.mean(axis=1) if len(self.shuffled) else np.array([np.nan])
        return pd.DataFrame(
            [
                {
                    "accuracy": self.accuracy.mean(),
                    "lowest_split": self.accuracy.min(),
                    "highest_split": self.accuracy.max(),
                    "shuffled": chance.mean(),
                    "shuffled_high": np.quantile(chance, 0.975),
                    "selectivity": self.selectivity,
                    "p": self.p,
                    "n_examples": self.n_examples,
                    "n_units": self.n_units,
                    "share_positive": self.share_positive,
                }
            ]
        )


def probe_heads(
    features: HeadFeatures,
    labels: Sequence[bool] | Bool[Tensor, " example"],
    *,
    n_splits: int = 5,
    n_shuffles: int = 20,
    test_fraction: float = 0.3,
    l2_strength: float = 0.01,
    seed: int = 0,
) -> ProbeResult:
    """Balanced accuracy of a linear probe on units that it has not learnt from.

    TransformerLens's logistic probe (`tools.analysis.sparse_probing.fit_sparse_probe`), on all
    features, standardised by those learnt from. Each split holds whole units out, so that two
    examples of one needle are never on both sides. Beside it the same with labels shuffled over the
    examples: what a probe of this size reads off chance.

    Args:
        features: From `head_features`, or of your own.
        labels: True or false for each example.
        n_splits: Random splits.
        n_shuffles: Shuffles of the labels, each learnt from with every split; 0 for none.
        test_fraction: Share of the examples held out.
        l2_strength: Penalty of the coefficients.
        seed: Seed of splits and shuffles.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The labels are not as many as the examples, a class has fewer than two units, or
            a number is out of range.

    Examples:
        >>> without = make_pairs(new_prompts, "needle").pairs
        >>> features, present = presence_features(model, without, heads)
        >>> found = probe_heads(features, present, n_splits=2, n_shuffles=2)
        >>> found.n_examples, found.n_units
        (8, 4)
    """
    require_type("features", features, HeadFeatures, remedy="Make them with head_features.")
    positive = _labels(labels, features)
    require_whole_number("n_splits", n_splits, at_least=1, at_most=MAX_REPEATS)
    require_whole_number("n_shuffles", n_shuffles, at_least=0, at_most=MAX_REPEATS)
    require_number("test_fraction", test_fraction, above=0, below=1)
    require_number("l2_strength", l2_strength, above=0)
    require_seed("seed", seed)
    options = {"test_fraction": test_fraction, "l2_strength": l2_strength}
    generator = torch.Generator().manual_seed(seed)
    accuracy = _accuracies(features, positive, n_splits, seed, options)
    shuffled = []
    for _ in range(n_shuffles):
        mixed = _shuffled(positive, features.units, generator)
        shuffled.append(_accuracies(features, mixed, n_splits, seed, options))
    return ProbeResult(
        accuracy=accuracy,
        shuffled=np.array(shuffled).reshape(n_shuffles, n_splits),
        n_examples=len(positive),
        n_units=len(set(features.units)),
        share_positive=float(positive.double().mean()),
    )


def _labels(labels: object, features: HeadFeatures) -> Bool[Tensor, " example"]:
    """The labels as a tensor; refused where no unit could be held out."""
    given = labels.tolist() if isinstance(labels, Tensor | np.ndarray | pd.Series) else labels
    remedy = "Pass True or False for each example."
    entries = require_list("labels", given, bool, remedy=remedy)
    if len(entries) != len(features.values):
        raise ValueError(
            f"Expected labels, one for each of {len(features.values)} examples; found "
            f"{len(entries)}. {remedy}"
        )
    positive = torch.tensor([bool(entry) for entry in entries])
    for value in (True, False):
        pairs = zip(features.units, positive.tolist(), strict=True)
        n_units = len({unit for unit, label in pairs if label is value})
        if n_units < 2:
            raise ValueError(
                f"Expected labels that are {value} in two units or more, to hold one out; found "
                f"{n_units}. Add prompts, or ask another question."
            )
    return positive


def _shuffled(
    labels: Bool[Tensor, " example"], units: tuple[str, ...], generator: torch.Generator
) -> Bool[Tensor, " example"]:
    """Labels in another order, in which no class is of one unit only."""
    for _ in range(100):
        mixed = labels[torch.randperm(len(labels), generator=generator)]
        spread = [
            {unit for unit, label in zip(units, mixed.tolist(), strict=True) if label is value}
            for value in (True, False)
        ]
        if min(map(len, spread)) >= 2:
            return mixed
    raise ValueError(
        "Expected labels that can be shuffled over two units or more; found none such in 100 "
        "shuffles. Add prompts, or set n_shuffles=0."
    )


def _accuracies(
    features: HeadFeatures,
    labels: Bool[Tensor, " example"],
    n_splits: int,
    seed: int,
    options: dict[str, Any],
) -> Float[np.ndarray, " split"]:
    """Balanced accuracy of each split."""
    # Imported here because that takes several seconds.
    from transformer_lens.tools.analysis.sparse_probing import fit_sparse_probe

    codes = {unit: code for code, unit in enumerate(dict.fromkeys(features.units))}
    groups = torch.tensor([codes[unit] for unit in features.units])
    found = []
    for split in range(n_splits):
        fitted = fit_sparse_probe(
            features.values,
            labels,
            k=features.values.shape[1],
            groups=groups,
            preprocess="standardize",
            seed=(seed + split) % 2**31,
            **options,
        )
        counts = fitted.metrics
        right = counts.true_positives / (counts.true_positives + counts.false_negatives)
        wrong = counts.true_negatives / (counts.true_negatives + counts.false_positives)
        found.append((right + wrong) / 2)
    return np.array(found)
