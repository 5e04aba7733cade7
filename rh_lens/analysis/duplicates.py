"""Samples that repeat: the same prompt asked again counts as evidence only once."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rh_lens.checks import require_tensor, require_type
from rh_lens.representation import short_repr


@dataclass(frozen=True, eq=False)
class DuplicateRuns:
    """Which samples equal others in every head's score.

    Two samples may be equal by chance, the sooner the shorter the answers and the fewer the heads;
    many samples in long runs of one length are a sign that the prompts were equal.

    Args:
        first_equal: For each sample, the index of the first sample that equals it: its own where
            it is new.
        run_lengths: Lengths of the runs of equal consecutive samples, in order; their sum is the
            number of samples.
    """

    first_equal: Int[Tensor, " sample"]
    run_lengths: tuple[int, ...]

    __repr__ = short_repr

    @property
    def n_samples(self) -> int:
        """Samples in all."""
        return len(self.first_equal)

    @property
    def n_distinct(self) -> int:
        """Samples left when each is kept once."""
        return len(self.first_equal.unique())

    @property
    def n_repeated(self) -> int:
        """Samples that equal an earlier one."""
        return self.n_samples - self.n_distinct

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each run of equal consecutive samples.

        Returns:
            Columns `start` (index of its first sample), `length` and `first_equal` (index of the
            first sample of all that equals it).
        """
        start = np.cumsum([0, *self.run_lengths[:-1]])
        return pd.DataFrame(
            {
                "start": start,
                "length": self.run_lengths,
                "first_equal": self.first_equal.numpy()[start],
            }
        )


def duplicate_runs(values: Float[Tensor, " sample *heads"]) -> DuplicateRuns:
    """Runs of equal consecutive samples, and the number of distinct ones.

    Samples are equal when every head has the same score in both, bit for bit; NaN equals NaN.

    Args:
        values: Score of every head on every sample, such as `RetrievalScores.values`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no sample, or no head.

    Examples:
        >>> runs = duplicate_runs(torch.tensor([[0.5, 0.0], [0.5, 0.0], [1.0, 0.0]]))
        >>> runs.run_lengths, runs.n_distinct
        ((2, 1), 2)
    """
    require_tensor("values", values, ("sample", "*heads"))
    if not values.numel():
        raise ValueError(
            f"Expected scores of one sample and one head or more; found shape "
            f"{tuple(values.shape)}. Pass the values of a score table, samples first."
        )
    rows = values.detach().cpu().double().nan_to_num(nan=-1e300).reshape(len(values), -1).numpy()
    # Adding zero makes -0.0 and 0.0 one.
    _, first, group = np.unique(rows + 0.0, axis=0, return_index=True, return_inverse=True)
    first_equal = first[group.reshape(-1)]
    changes = np.flatnonzero(np.diff(first_equal)) + 1
    edges = [0, *changes.tolist(), len(rows)]
    lengths = tuple(int(length) for length in np.diff(edges))
    return DuplicateRuns(torch.from_numpy(first_equal.astype(np.int64)), lengths)


@dataclass(frozen=True)
class Repetition:
    """How often samples come again at once, beside how often they come again anywhere.

    Where one prompt is asked again and again, neighbours are equal and others are not. Where scores
    say too little to tell prompts apart (few heads, or short answers that are always copied whole),
    samples are equal wherever they are.

    Args:
        n_samples: Samples that were looked at.
        n_in_runs: Those of them in runs of two equal samples or more.
        neighbours_equal: Share of the neighbouring samples that are equal, in [0, 1].
        others_equal: Share of the pairs of runs that are equal, in [0, 1].
    """

    n_samples: int
    n_in_runs: int
    neighbours_equal: float
    others_equal: float

    @property
    def is_collapse(self) -> bool:
        """Whether half of the samples or more are in runs, and twice as often as others would."""
        in_runs = 0 < self.n_samples <= 2 * self.n_in_runs
        return in_runs and self.neighbours_equal >= 2 * self.others_equal


def repetition(duplicates: DuplicateRuns, counted: Bool[Tensor, " sample"]) -> Repetition:
    """How often the samples that count come again at once, whatever the lengths of their runs.

    Args:
        duplicates: From `duplicate_runs`.
        counted: Which samples count; one that tells nothing, all zeros, equals every other such.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The mask is none of the samples.

    Examples:
        >>> runs = duplicate_runs(scores.values)
        >>> repetition(runs, torch.ones(8, dtype=torch.bool))
        Repetition(n_samples=8, n_in_runs=0, neighbours_equal=0.0,
         others_equal=0.03571428571428571)
    """
    require_type("duplicates", duplicates, DuplicateRuns, remedy="Take duplicate_runs(values).")
    require_type("counted", counted, Tensor)
    if counted.dtype != torch.bool or counted.shape != (duplicates.n_samples,):
        raise ValueError(
            f"Expected counted to be a mask of {duplicates.n_samples} samples; found "
            f"{counted.dtype} values of shape {list(counted.shape)}. Compare with a number first."
        )
    table = duplicates.to_dataframe()
    runs = table[counted.cpu().numpy()[table["start"].to_numpy()]]
    n_samples, n_runs = int(runs["length"].sum()), len(runs)
    n_alike = runs["first_equal"].value_counts()
    n_equal_pairs, n_pairs = int((n_alike * (n_alike - 1) // 2).sum()), n_runs * (n_runs - 1) // 2
    return Repetition(
        n_samples=n_samples,
        n_in_runs=int(runs["length"][runs["length"] > 1].sum()),
        neighbours_equal=(n_samples - n_runs) / max(n_samples - 1, 1),
        others_equal=n_equal_pairs / max(n_pairs, 1),
    )
