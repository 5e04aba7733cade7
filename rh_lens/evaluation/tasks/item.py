"""What is asked: one question, its right answers, and what it is asked about."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast

from rh_lens.checks import require_list, require_text, require_type, shown
from rh_lens.prompts.text_file import require_characters
from rh_lens.representation import short_repr

_Rule = TypeVar("_Rule", bound=Callable[..., Any])

LETTERS = "ABCDEFGHIJ"
"""Letters of the choices of a multiple-choice question, in order."""


@dataclass(frozen=True)
class TaskItem:
    """One question of a task.

    Args:
        id: Names the item among those of its task.
        question: What is asked; may be blank where the context asks itself.
        answers: Right answers: each counts (for `contains_all`: all are wanted). None at all: the
            question has no answer, and saying so is right.
        context: The document that holds the answer; blank where there is none.
        document: Name of the document; items of one document are one unit of statistics. Blank:
            the item's own id.
        choices: What can be chosen from, in the order of `LETTERS`; none: nothing.
        chain: A written way to the answer, as worked examples show it; may be blank.

    Raises:
        TypeError: A field is of another type.
        ValueError: The id is blank, question and context both are, an answer is, or a text holds
            half a character.
    """

    id: str
    question: str
    answers: tuple[str, ...]
    context: str = ""
    document: str = ""
    choices: tuple[str, ...] = ()
    chain: str = ""

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_text("id", self.id)
        for name in ("question", "context", "document", "chain"):
            require_text(name, getattr(self, name), blank=True)
            require_characters(name, getattr(self, name))
        for name in ("answers", "choices"):
            texts = require_list(name, getattr(self, name), str)
            for text in texts:
                require_text(f"each of {name}", text)
                require_characters(name, text)
            object.__setattr__(self, name, texts)
        if not self.question.strip() and not self.context.strip():
            raise ValueError(
                f"Expected a question or a context in item {shown(self.id)}; found neither. Write "
                "what is asked."
            )
        if len(self.choices) > len(LETTERS):
            raise ValueError(
                f"Expected choices to be {len(LETTERS)} or fewer; found {len(self.choices)} in "
                f"item {shown(self.id)}. Leave some out."
            )

    @property
    def unit(self) -> str:
        """What statistics count: the document, or the item where it has none of its own."""
        return self.document or self.id


def require_items(name: str, items: object) -> tuple[TaskItem, ...]:
    """The items of a list, one or more, each with its own id.

    Raises:
        TypeError: It is no list of items.
        ValueError: There is none, or two have the same id.
    """
    remedy = "Make them with TaskItem, or load a task."
    found = require_list(name, items, TaskItem, at_least=1, remedy=remedy)
    if twice := repeated(item.id for item in found):
        raise ValueError(
            f"Expected {name} with different ids; found {shown(twice[0])} twice. Give each item "
            "its own id."
        )
    return found


def repeated(names: Iterable[str]) -> list[str]:
    """Names that come a second time, in order."""
    seen: set[str] = set()
    again = []
    for name in names:
        if name in seen:
            again.append(name)
        seen.add(name)
    return again


def with_checks(name: str) -> Callable[[_Rule], _Rule]:
    """A decorator: the rule refuses what is no text, under this name, or no item.

    Args:
        name: What the rule calls its text.
    """

    def decorate(rule: _Rule) -> _Rule:
        @wraps(rule)
        def checked(text: str, item: TaskItem) -> Any:
            require_text(name, text, blank=True)
            require_type("item", item, TaskItem, remedy="Make one with TaskItem.")
            return rule(text, item)

        # Both arguments may be given by name.
        @wraps(rule)
        def called(*values: Any, **named: Any) -> Any:
            return checked(*values, **{"text" if k == name else k: v for k, v in named.items()})

        return cast(_Rule, called)

    return decorate
