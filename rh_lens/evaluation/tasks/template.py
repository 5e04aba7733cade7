"""The text of a task's prompts: where document, question and choices stand, how answers look."""

import re
from dataclasses import dataclass

from rh_lens.checks import require_text, require_type, shown
from rh_lens.evaluation.tasks.item import LETTERS, TaskItem
from rh_lens.prompts.text_file import require_characters

_FIELDS = ("{context}", "{question}", "{choices}")
_ANSWER_FIELDS = ("{answer}", "{chain}")
_FIELD = re.compile(r"\{[A-Za-z_]\w*\}")


@dataclass(frozen=True)
class TaskTemplate:
    """How an item is written, and how a worked example answers.

    Args:
        name: For tables and logs.
        text: With fields `{context}`, `{question}` and `{choices}`, each at most once, the context
            first; it ends where the answer begins. Other braces are plain text.
        answer: What a worked example says after its text, with `{answer}` and, where a way is
            shown, `{chain}`. Only used with examples, and to write the answers that are chosen
            from.
        instruction: Said once, in front of everything.
        separator: Between worked examples.

    Raises:
        TypeError: A field is no text.
        ValueError: `text` has neither question nor context, a field twice or an unknown one, or the
            question before the context.
    """

    name: str
    text: str
    answer: str = " {answer}"
    instruction: str = ""
    separator: str = "\n\n"

    def __post_init__(self) -> None:
        require_text("name", self.name)
        require_text("text", self.text)
        for name in ("answer", "instruction", "separator"):
            require_text(name, getattr(self, name), blank=True)
        for name in ("text", "answer", "instruction", "separator"):
            require_characters(name, getattr(self, name))
        _require_fields("text", self.text, _FIELDS)
        _require_fields("answer", self.answer, _ANSWER_FIELDS)
        if "{question}" not in self.text and "{context}" not in self.text:
            raise ValueError(
                "Expected text to have the field {question} or {context}; found neither in "
                f"{shown(self.text)}. Write where the question goes."
            )
        places = [self.text.find(field) for field in ("{context}", "{question}")]
        if min(places) >= 0 and places[0] > places[1]:
            raise ValueError(
                f"Expected text to have {{context}} before {{question}}; found {shown(self.text)}. "
                "Ask after the document: prompts of one document share its reading."
            )

    def filled(self, item: TaskItem) -> str:
        """The text of an item, up to where its answer begins.

        Raises:
            TypeError: It is no item.
        """
        _require_item(item)
        return fill(self.text, fields_of(item))

    def worked(self, item: TaskItem) -> str:
        """The text of an item with its first right answer, as an example shows it.

        Raises:
            TypeError: It is no item.
            ValueError: The item has no answer, or no way where one is to be shown.
        """
        return self.filled(item) + self.said(item)

    def said(self, item: TaskItem) -> str:
        """What an example answers.

        Raises:
            TypeError: It is no item.
            ValueError: The item has no answer, or no way where one is to be shown.
        """
        _require_item(item)
        if not item.answers:
            raise ValueError(
                f"Expected an example with an answer; found none in item {shown(item.id)}. Show "
                "another item."
            )
        if "{chain}" in self.answer and not item.chain:
            raise ValueError(
                f"Expected an example with a way to its answer, for {{chain}}; found none in item "
                f"{shown(item.id)}. Give it a chain, or take a template that shows none."
            )
        return fill(self.answer, {"{answer}": item.answers[0], "{chain}": item.chain})


def _require_item(item: object) -> None:
    require_type("item", item, TaskItem, remedy="Make one with TaskItem.")


def fields_of(item: TaskItem) -> dict[str, str]:
    """The texts that stand for a template's fields."""
    choices = "\n".join(f"{letter}. {c}" for letter, c in zip(LETTERS, item.choices, strict=False))
    return {"{context}": item.context, "{question}": item.question, "{choices}": choices}


def fill(text: str, fields: dict[str, str]) -> str:
    """A text with its fields filled in at once: braces of what is filled in stay."""
    return "".join(fields.get(part, part) for part in parts_of(text, tuple(fields)))


def parts_of(text: str, fields: tuple[str, ...]) -> list[str]:
    """A text cut at its fields, which are parts of their own."""
    return re.split(f"({'|'.join(map(re.escape, fields))})", text)


def _require_fields(name: str, text: str, known: tuple[str, ...]) -> None:
    found = _FIELD.findall(text)
    for field in found:
        if field not in known or found.count(field) > 1:
            raise ValueError(
                f"Expected {name} to have the fields {', '.join(known)}, each at most once; found "
                f"{shown(field)} {found.count(field)} times in {shown(text)}. Rename or remove it."
            )


READING = TaskTemplate("reading", "{context}\n\nQuestion: {question}\nAnswer:")
"""A document, then a question and the answer; what the bundled model was trained on."""

READING_OR_NOT = TaskTemplate(
    "reading-or-not",
    "{context}\n\nQuestion: {question}\nAnswer:",
    instruction="Answer from the text in a few words. If the text does not say it, answer "
    '"unanswerable".',
)
"""The same where a question may have no answer in its document."""

CHAIN = TaskTemplate(
    "chain",
    "Question: {question}\nAnswer: Let's think step by step.",
    answer=" {chain} The answer is {answer}.",
)
"""A question, and a way to its answer written before it."""

ANSWER_ONLY = TaskTemplate(
    "answer-only",
    "Question: {question}\nAnswer: The answer is",
    answer=" {answer}.",
)
"""A question, and nothing but its answer."""

READING_CHAIN = TaskTemplate(
    "reading-chain",
    "{context}\n\nQuestion: {question}\nAnswer: Let's think step by step.",
    answer=" {chain} The answer is {answer}.",
)
"""A document and a question, and a way to the answer written before it."""

CHOICES = TaskTemplate("choices", "{question}\n{choices}\nAnswer:", answer=" {answer}")
"""A question with lettered choices, as MMLU's published prompts ask it."""

CHOICES_CHAIN = TaskTemplate(
    "choices-chain",
    "{question}\n{choices}\nAnswer: Let's think step by step.",
    answer=" {chain} The answer is ({answer}).",
)
"""A question with lettered choices, and a way to its answer written before it."""

WHOLE = TaskTemplate("whole", "{context}{question}")
"""A text that asks by itself."""
