"""Where heads look beside what they write: one table."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_choice, require_number, require_type
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.detection import RetrievalScores
from rh_lens.heads import Head
from rh_lens.representation import short_repr

ReadWriteKind: TypeAlias = Literal[
    "reads and writes",
    "reads, writes against",
    "reads only",
    "writes only",
    "only writes against",
    "neither",
]
"""What a head does: looks at the needle or not; writes the answer, against it, or nothing."""
Scores: TypeAlias = RetrievalScores | HeadScores


@dataclass(frozen=True, eq=False)
class ReadWrite:
    """Read and write side of every head.

    Args:
        read: Read scores, such as retrieval scores.
        write: Write scores, in logits; below 0: against the answer.
        read_threshold: Score from which on a head reads.
        write_threshold: Absolute score from which on a head writes.
    """

    read: Float[Tensor, "layer head"]
    write: Float[Tensor, "layer head"]
    read_threshold: float
    write_threshold: float

    __repr__ = short_repr

    def kind(self, head: Head) -> ReadWriteKind:
        """What a head does.

        Raises:
            TypeError: It is no head.
            ValueError: The table has no such head.
        """
        require_type("head", head, Head, remedy="Pass one such as Head(2, 3).")
        if not (head.layer < self.read.shape[0] and head.head < self.read.shape[1]):
            raise ValueError(
                f"Expected a head of {self.read.shape[0]} layers of {self.read.shape[1]}; found "
                f"{head.label}. Choose one that the model has."
            )
        reads = float(self.read[head.layer, head.head]) >= self.read_threshold
        written = float(self.write[head.layer, head.head])
        if written >= self.write_threshold:
            return "reads and writes" if reads else "writes only"
        if written <= -self.write_threshold:
            return "reads, writes against" if reads else "only writes against"
        return "reads only" if reads else "neither"

    def heads(self, kind: ReadWriteKind) -> list[Head]:
        """The heads of a kind, by layer.

        Raises:
            TypeError: The kind is no text.
            ValueError: There is no such kind.
        """
        require_choice("kind", kind, get_args(ReadWriteKind))
        return [head for head in self._scored() if self.kind(head) == kind]

    def counts(self) -> dict[str, int]:
        """Number of heads of each kind that occurs."""
        kinds = [self.kind(head) for head in self._scored()]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}

    def to_dataframe(self) -> pd.DataFrame:
        """One row a head, those that read most first: layer, head, label, read, write, kind."""
        table = pd.DataFrame(
            [
                {
                    "layer": head.layer,
                    "head": head.head,
                    "label": head.label,
                    "read": float(self.read[head.layer, head.head]),
                    "write": float(self.write[head.layer, head.head]),
                    "kind": self.kind(head),
                }
                for head in self._scored()
            ]
        )
        return table.sort_values("read", ascending=False, kind="stable", ignore_index=True)

    def _scored(self) -> list[Head]:
        """Heads that have both scores."""
        both = ~self.read.isnan() & ~self.write.isnan()
        return [Head(layer, head) for layer, head in both.nonzero().tolist()]


def read_write_table(
    read: Scores, write: Scores, *, read_threshold: float = 0.1, write_threshold: float = 0.1
) -> ReadWrite:
    """Which heads look at the needle, and which of these write the answer, or against it.

    A head that only looks moves nothing; one that writes against is a suppressor (copy suppression,
    arXiv:2310.04625); one that only writes finds the answer in another way than by looking at it.

    Args:
        read: Scores of the read side, such as `result.scores` of a detection.
        write: Scores of the write side, such as `write_scores`.
        read_threshold: As for retrieval heads, 0.1 (Wu et al. 2024, arXiv:2404.15574).
        write_threshold: In logits; smaller ones, in both directions, count as nothing.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The two are of different models, or the thresholds are not above 0.

    Examples:
        >>> write = write_scores(model, new_prompts)
        >>> table = read_write_table(scores, write)
        >>> table.counts()
        {'neither': 28, 'reads and writes': 4}
    """
    for name, scores in {"read": read, "write": write}.items():
        require_type(name, scores, (RetrievalScores, HeadScores), remedy="Pass scores of heads.")
    require_number("read_threshold", read_threshold, above=0)
    require_number("write_threshold", write_threshold, above=0)
    sides = read.mean(), write.mean()
    if sides[0].shape != sides[1].shape:
        raise ValueError(
            f"Expected scores of the same heads; found {list(sides[0].shape)} and "
            f"{list(sides[1].shape)} layers and heads. Take both from one model."
        )
    return ReadWrite(
        sides[0].to(torch.float64), sides[1].to(torch.float64), read_threshold, write_threshold
    )
