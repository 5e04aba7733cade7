"""The text around a haystack: where the context and the question stand in a prompt."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

_FIELD = re.compile(r"\{[A-Za-z_]\w*\}")


@dataclass(frozen=True)
class Template:
    """A prompt's text with a place for the context and, after it, one for the question.

    Args:
        name: For tables and logs.
        text: Holds `{context}` and then `{question}`, each once. Other braces are plain text.

    Raises:
        ValueError: A field is missing or repeated, or the question comes first.
    """

    name: str
    text: str

    def __post_init__(self) -> None:
        counts = {field: self.text.count(field) for field in ("{context}", "{question}")}
        if set(counts.values()) != {1}:
            raise ValueError(
                f"Expected {{context}} and {{question}} once each in template {self.name!r}; found "
                f"{counts}, fields {_FIELD.findall(self.text)}. Write each field once."
            )
        if self.text.index("{question}") < self.text.index("{context}"):
            raise ValueError(
                f"Expected {{context}} before {{question}} in template {self.name!r}; found the "
                "question first. Ask after the context: prompts share their haystack up to the "
                "needle."
            )

    def split(self, question: str) -> tuple[str, str]:
        """The text before the context, and the text after it with the question filled in."""
        before, after = self.text.split("{context}")
        return before, after.replace("{question}", question)


BASE_TEMPLATE = Template("base", "{context}\n\nQuestion: {question}\nAnswer:")


def chat_template(
    tokenizer: PreTrainedTokenizerBase,
    *,
    system: str | None = None,
    content: str = "{context}\n\nQuestion: {question}",
    **options: bool,
) -> Template:
    """The tokenizer's own chat format, up to where the assistant begins to answer.

    Args:
        tokenizer: A tokenizer with a chat template.
        system: The system message, if there is to be one.
        content: The user's message.
        options: Switches of the chat template itself, such as `enable_thinking=False`.

    Raises:
        ValueError: The tokenizer has no chat template, the template refuses the messages, or it
            loses or repeats a field.
    """
    messages = [{"role": "user", "content": content}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    return Template("chat", render_chat(tokenizer, messages, **options))


def render_chat(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, str]], **options: bool
) -> str:
    """Messages in the tokenizer's own chat format, up to where the assistant begins to answer.

    Args:
        tokenizer: A tokenizer with a chat template.
        messages: Each with `role` and `content`.
        options: Switches of the chat template itself.

    Raises:
        ValueError: The tokenizer has no chat template, or the template refuses the messages.
    """
    if not tokenizer.chat_template:
        raise ValueError(
            f"Expected a tokenizer with a chat template; found none in {tokenizer.name_or_path!r}. "
            "Use the base template, or give your own text with {context} and {question}."
        )
    try:
        return tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            tokenize=False,
            add_generation_prompt=True,
            **options,
        )
    except Exception as error:  # a chat template is a program of its own and may raise anything
        roles = [message.get("role") for message in messages]
        raise ValueError(
            f"Expected the chat template of {tokenizer.name_or_path!r} to accept messages of roles "
            f"{roles}; found {type(error).__name__}: {error}. Leave out system= if it knows no "
            "system message."
        ) from error


def load_template(spec: str, tokenizer: PreTrainedTokenizerBase) -> Template:
    """Template named by one string, as on a command line.

    Args:
        spec: `base`, `chat`, a text with `{context}` and `{question}`, or a file that holds one.
        tokenizer: Its chat format is meant by `chat`.

    Raises:
        ValueError: The string is none of these, or the text has an unknown field.
    """
    if spec == "base":
        return BASE_TEMPLATE
    if spec == "chat":
        return chat_template(tokenizer)
    if "{" in spec:
        return _custom_template("custom", spec)
    if Path(spec).is_file():
        return _custom_template(Path(spec).name, Path(spec).read_text(encoding="utf-8-sig"))
    raise ValueError(
        "Expected 'base', 'chat', a text with {context} and {question}, or a file that holds one; "
        f"found {spec!r}, and no such file. Check the spelling or the path."
    )


def _custom_template(name: str, text: str) -> Template:
    unknown = sorted(set(_FIELD.findall(text)) - {"{context}", "{question}"})
    if unknown:
        raise ValueError(
            f"Expected only the fields {{context}} and {{question}} in template {name!r}; found "
            f"{', '.join(unknown)}. Rename or remove them."
        )
    return Template(name, text)
