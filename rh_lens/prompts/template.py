"""The text around a haystack: where the context and the question are in a prompt."""

import re
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from rh_lens.checks import require_text, shown
from rh_lens.prompts.chat_format import render_chat
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.prompts.text_file import is_file, read_text, require_characters

_FIELD = re.compile(r"\{[A-Za-z_]\w*\}")


@dataclass(frozen=True)
class Template:
    """A prompt's text with a place for the context and, after it, one for the question.

    Args:
        name: For tables and logs.
        text: Holds `{context}` and then `{question}`, each once. Other braces are plain text.

    Raises:
        TypeError: An argument is no text.
        ValueError: A field is missing or repeated, or the question comes first.
    """

    name: str
    text: str

    def __post_init__(self) -> None:
        require_text("name", self.name)
        require_text("text", self.text)
        require_characters("text", self.text)
        counts = {field: self.text.count(field) for field in ("{context}", "{question}")}
        if set(counts.values()) != {1}:
            raise ValueError(
                f"Expected {{context}} and {{question}} once each in the text of template "
                f"{shown(self.name)}; found {counts}, fields {shown(_FIELD.findall(self.text))}. "
                "Write each field once."
            )
        if self.text.index("{question}") < self.text.index("{context}"):
            raise ValueError(
                f"Expected {{context}} before {{question}} in the text of template "
                f"{shown(self.name)}; found the "
                "question first. Ask after the context: prompts share their haystack up to the "
                "needle."
            )

    def split(self, question: str) -> tuple[str, str]:
        """The text before the context, and the text after it with the question filled in.

        Raises:
            TypeError: The question is no text.
        """
        require_text("question", question, blank=True)
        before, after = self.text.split("{context}")
        return before, after.replace("{question}", question)


BASE_TEMPLATE = Template("base", "{context}\n\nQuestion: {question}\nAnswer:")
"""The text of a base model's prompt: the context, then `Question: ...` and `Answer:`."""


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
        TypeError: An argument has the wrong type.
        ValueError: The tokenizer has no chat template, the template refuses the messages or does
            not end, or it loses or repeats a field.

    Examples:
        >>> tokenizer.chat_template = (
        ...     "{% for m in messages %}[{{ m.role }}] {{ m.content }} {% endfor %}[assistant]"
        ... )
        >>> print(chat_template(tokenizer, system="Be brief.").text)
        [system] Be brief. [user] {context}
        <BLANKLINE>
        Question: {question} [assistant]
        >>> tokenizer.chat_template = None
    """
    require_tokenizer(tokenizer)
    require_text("content", content)
    if system is not None:
        require_text("system", system)
    messages = [{"role": "user", "content": content}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    return Template("chat", render_chat(tokenizer, messages, **options))


def load_template(spec: str, tokenizer: PreTrainedTokenizerBase) -> Template:
    """Template named by one string, as on a command line.

    Args:
        spec: `base`, `chat`, a text with `{context}` and `{question}`, or a file that holds one.
        tokenizer: Its chat format is meant by `chat`.

    Raises:
        TypeError: The string is none, or the tokenizer is.
        ValueError: The string is none of these, the text has an unknown field, the file is no text,
            or the tokenizer has no chat format that fits.

    Examples:
        >>> print(load_template("base", tokenizer).text)
        {context}
        <BLANKLINE>
        Question: {question}
        Answer:
    """
    require_text("spec", spec)
    require_tokenizer(tokenizer)
    if spec == "base":
        return BASE_TEMPLATE
    if spec == "chat":
        return chat_template(tokenizer)
    if "{" in spec:
        return _custom_template("custom", spec)
    if is_file(spec):
        text = read_text(Path(spec), remedy="Save it as UTF-8.")
        return _custom_template(Path(spec).name, text)
    raise ValueError(
        "Expected 'base', 'chat', a text with {context} and {question}, or a file that holds one; "
        f"found {shown(spec)}, and no such file. Check the spelling or the path."
    )


def _custom_template(name: str, text: str) -> Template:
    unknown = sorted(set(_FIELD.findall(text)) - {"{context}", "{question}"})
    if unknown:
        raise ValueError(
            f"Expected only the fields {{context}} and {{question}} in template {shown(name)}; "
            "found "
            f"{', '.join(unknown)[:300]}. Rename or remove them."
        )
    return Template(name, text)
