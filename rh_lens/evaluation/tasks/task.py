"""A task: items, how they are asked, how answers are read off, and how they are scored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from rh_lens.checks import (
    require_callable,
    require_choice,
    require_list,
    require_text,
    require_type,
    require_whole_number,
)
from rh_lens.evaluation.tasks.extraction import Extraction
from rh_lens.evaluation.tasks.item import TaskItem, require_items
from rh_lens.evaluation.tasks.scoring import TaskScore
from rh_lens.evaluation.tasks.template import TaskTemplate

Answering: TypeAlias = Literal["generate", "choose"]
"""How a task is answered: by greedy generation, or by the likeliest of the choices' letters."""


@dataclass(frozen=True, eq=False)
class Task:
    """Items, how they are asked, how an answer is read off what is said, and how it is scored.

    Every part is a plain value, to be exchanged with `dataclasses.replace`:

        short = replace(task, template=ANSWER_ONLY, max_new_tokens=8, stop=("\\n",))

    Args:
        name: For tables, logs and folders.
        items: What is asked.
        template: How it is asked.
        extract: The answer in a generated text.
        scores: Scores in [0, 1] by name, the one that is reported first in front.
        max_new_tokens: Longest answer, in tokens.
        stop: Texts that end an answer, beside an end of sequence.
        examples: Items that stand in front with their answers, in order (few-shot).
        answering: "generate", or "choose": the letter with the highest log-probability.

    Raises:
        TypeError: A part is of another type.
        ValueError: There is no item, two have the same id, there is no score, an example has no
            answer, or an item to choose from has no choices.
    """

    name: str
    items: tuple[TaskItem, ...]
    template: TaskTemplate
    extract: Extraction
    scores: Mapping[str, TaskScore]
    max_new_tokens: int = 32
    stop: tuple[str, ...] = ("\n",)
    examples: tuple[TaskItem, ...] = ()
    answering: Answering = "generate"

    def __post_init__(self) -> None:
        require_text("name", self.name)
        object.__setattr__(self, "items", require_items("items", self.items))
        require_type("template", self.template, TaskTemplate, remedy="Take READING or CHAIN.")
        require_callable("extract", self.extract)
        require_type("scores", self.scores, Mapping, remedy='Pass {"f1": token_f1}.')
        if not self.scores:
            raise ValueError('Expected scores by name; found none. Pass {"f1": token_f1}.')
        for score in self.scores.values():
            require_callable("scores", score)
        require_whole_number("max_new_tokens", self.max_new_tokens, at_least=1, at_most=10**6)
        object.__setattr__(self, "stop", require_list("stop", self.stop, str))
        for text in self.stop:
            if not text:
                raise ValueError(
                    "Expected stop texts of one character or more; found an empty one. Remove it."
                )
        object.__setattr__(self, "examples", require_list("examples", self.examples, TaskItem))
        for example in self.examples:
            self.template.said(example)
        require_choice("answering", self.answering, get_args(Answering))
        bare = next((item.id for item in self.items if not item.choices), None)
        if self.answering == "choose" and bare is not None:
            raise ValueError(
                f"Expected items with choices, as answering is to choose; found none in {bare!r}. "
                'Give it choices, or take answering="generate".'
            )

    def __repr__(self) -> str:
        shots = f", {len(self.examples)} examples" if self.examples else ""
        return (
            f"Task({self.name!r}: {len(self.items)} items about {len(self.units)} documents"
            f"{shots}, asked by {self.template.name!r}, {self.answering}, {'/'.join(self.scores)})"
        )

    @property
    def metric(self) -> str:
        """The score that is reported first."""
        return next(iter(self.scores))

    @property
    def units(self) -> tuple[str, ...]:
        """Documents, or items without one, in order, each once."""
        return tuple(dict.fromkeys(item.unit for item in self.items))

    def judge(self, text: str, item: TaskItem) -> dict[str, Any]:
        """The answer in a text as `answer`, and each score of it by name.

        Raises:
            TypeError: An argument is of another type.
        """
        require_text("text", text, blank=True)
        require_type("item", item, TaskItem, remedy="Make one with TaskItem.")
        answer = self.extract(text, item)
        return {"answer": answer} | {
            name: float(score(answer, item)) for name, score in self.scores.items()
        }

    def described(self) -> dict[str, Any]:
        """How the items are asked and judged, as JSON values."""
        return {
            "name": self.name,
            "template": self.template.name,
            "extract": getattr(self.extract, "__name__", "own"),
            "scores": list(self.scores),
            "max_new_tokens": self.max_new_tokens,
            "stop": list(self.stop),
            "examples": [item.id for item in self.examples],
            "answering": self.answering,
        }
