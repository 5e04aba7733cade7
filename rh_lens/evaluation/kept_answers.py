"""Answers to prompts under conditions, kept with where chosen heads looked meanwhile."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rh_lens.checks import found_as, require_type
from rh_lens.detection import SourceRecorder, answer_recorder
from rh_lens.evaluation.activity import HeadLooks
from rh_lens.heads import Head
from rh_lens.prompts import AnyPrompt
from rh_lens.representation import short_repr
from rh_lens.runtime import (
    Answer,
    Bridge,
    Condition,
    FwdHooks,
    Generation,
    answer_prompts,
)


@dataclass(frozen=True, eq=False)
class KeptAnswer:
    """One answer: all that a measurement of it needs besides the prompt.

    Args:
        generation: What the model said.
        looks: Where the chosen heads looked; None where none were chosen.
    """

    generation: Generation
    looks: HeadLooks | None = None

    __repr__ = short_repr


KeptAnswers: TypeAlias = Mapping[tuple[str, int], KeptAnswer]
"""Answers by the name of the condition and the index of the prompt."""


def answers_with_looks(
    model: Bridge,
    prompts: Sequence[AnyPrompt],
    conditions: Mapping[str, Condition],
    heads: Sequence[Head],
    done: Container[tuple[str, int]],
    options: Mapping[str, Any],
) -> Iterator[dict[tuple[str, int], KeptAnswer]]:
    """Answers that are not done, as they end; those that come of the same passes together.

    Args:
        model: A TransformerBridge.
        prompts: Prompts to answer.
        conditions: Hooks and their scope, by name.
        heads: Heads whose attention is kept; none: no attention is looked at.
        done: Names of conditions and indices of prompts whose answers are not wanted.
        options: Further arguments of `answer_prompts`.
    """
    recorders: dict[tuple[str, int], SourceRecorder] = {}

    def listen(name: str, index: int) -> FwdHooks:
        if not heads or (name, index) in done:
            return ()
        recorders[name, index] = answer_recorder(model, prompts[index])
        return recorders[name, index].fwd_hooks()

    def kept(name: str, answer: Answer) -> KeptAnswer:
        if not heads:
            return KeptAnswer(answer.generation)
        n_prompt, n_steps = len(prompts[answer.index].tokens), len(answer.generation.tokens)
        recorded = recorders.pop((name, answer.index)).result()
        looks = HeadLooks.of(recorded.answer_rows(n_prompt, n_steps), heads)
        return KeptAnswer(answer.generation, looks)

    for together in answer_prompts(model, prompts, conditions, done=done, listen=listen, **options):
        yield {(name, answer.index): kept(name, answer) for name, answer in together.items()}


def require_kept_answers(
    done: KeptAnswers, conditions: Mapping[str, Condition], n_prompts: int, heads: Sequence[Head]
) -> None:
    """Refuse answers to something else than what is asked, or with other heads' attention.

    Raises:
        TypeError: A value is not a `KeptAnswer`.
        ValueError: There is no such condition or prompt, or the number of heads differs.
    """
    for (name, index), answer in done.items():
        require_type("the answers of done", answer, KeptAnswer, remedy="Take it from result.kept.")
        found = 0 if answer.looks is None else answer.looks.source.shape[1]
        if name not in conditions or not 0 <= index < n_prompts or found != len(heads):
            raise ValueError(
                f"Expected the answers of `done` to be of these {len(conditions)} conditions and "
                f"{n_prompts} prompts, with the attention of {len(heads)} heads; found one of "
                f"condition {name!r} and prompt {index} with that of {found}. Keep answers with "
                "the conditions, prompts and heads that they were given under."
            )


def as_kept(done: KeptAnswers | None) -> dict[tuple[str, int], KeptAnswer]:
    """A copy of the answers that are there already.

    Raises:
        TypeError: They are not by condition and prompt.
    """
    places = isinstance(done, Mapping) and all(isinstance(k, tuple) and len(k) == 2 for k in done)
    if done is not None and not places:
        raise TypeError(
            "Expected done to be answers by the name of a condition and the index of a prompt; "
            f"found {found_as(done)}. Take them from result.kept."
        )
    return dict(done or {})
