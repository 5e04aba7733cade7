"""How the answers of a run are decoded: side by side where that was tried out, or one by one."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from rh_lens.runtime.condition_rows import ConditionRows
from rh_lens.runtime.context import Context
from rh_lens.runtime.decode import decode
from rh_lens.runtime.generation import Asked, Generation
from rh_lens.runtime.hooks import Condition
from rh_lens.runtime.plan import Plan
from rh_lens.runtime.row_answers import decode_rows
from rh_lens.runtime.tree_attention import (
    can_share_passes,
    decode_branches,
    decode_turn,
    questions_obstacle,
)


@dataclass(frozen=True, eq=False)
class AnswerWay:
    """How the answers of one run are decoded.

    Args:
        context: Reads the prompts.
        rows: Reads them under conditions that act on the reading, where there are several.
        conditions: Whether the conditions of a prompt share their passes.
        questions: Whether the prompts of a turn share theirs.
    """

    context: Context
    rows: ConditionRows | None
    conditions: bool
    questions: bool

    @classmethod
    def of(
        cls,
        context: Context,
        conditions: Mapping[str, Condition],
        plan: Plan,
        sample: Int[Tensor, " pos"],
        share: bool,
    ) -> "AnswerWay":
        """The fastest way that was tried out; says so where questions can't stand side by side."""
        rows, reads = None, any(one.prefill_hooks for one in conditions.values())
        if len(conditions) > 1 and reads:
            rows = ConditionRows(context.model, context.strategy, conditions)
        hooks = [condition.decode_hooks for condition in conditions.values()]
        together = rows is None and can_share_passes(context, hooks, sample)
        questions = False
        if plan.turns and rows is None and not reads and (together or len(conditions) == 1):
            obstacle = questions_obstacle(context, hooks, sample)
            questions = not obstacle
            if obstacle:
                _say_one_after_the_other(obstacle)
        return cls(context, rows, together, questions)

    def forget(self) -> None:
        """Begin a unit with nothing read."""
        if self.rows is not None:
            self.rows.forget()

    def decoded(
        self, prompts: Sequence[Sequence[int]], asked: Sequence[Mapping[str, Asked]]
    ) -> Iterator[tuple[int, dict[str, Generation]]]:
        """Places of prompts, and their answers: side by side, or one after the other."""
        if len(prompts) > 1:
            yield from enumerate(decode_turn(self.context, prompts, asked))
        elif self.rows is not None:
            yield 0, decode_rows(self.rows, prompts[0], asked[0])
        elif self.conditions:
            yield 0, decode_branches(self.context, prompts[0], asked[0])
        else:
            for name, one in asked[0].items():
                yield 0, {name: decode(self.context, prompts[0], one)}


def _say_one_after_the_other(reason: str) -> None:
    warnings.warn(
        "Expected a model that answers the questions about one context side by side; found that "
        f"they are answered one after the other: {reason}. Answers are the same, and take longer.",
        stacklevel=2,
    )
