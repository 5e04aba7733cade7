"""Messages in a tokenizer's own chat format: a program that comes with the tokenizer."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from transformers import PreTrainedTokenizerBase

from rh_lens.checks import require_text, shown
from rh_lens.prompts.pieces import require_tokenizer

MAX_STEPS = 1_000_000
"""Lines of the compiled chat template that are run at most; real ones run some thousands."""
MAX_RENDERED = 10_000_000
"""Characters that a chat template may make of the messages."""
# What Jinja calls the code that it compiles a template to.
_COMPILED = "<template>"


def render_chat(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, str]], **options: bool
) -> str:
    """Messages in the tokenizer's own chat format, up to where the assistant begins to answer.

    A chat template is a program. One that does not end is stopped after `MAX_STEPS` steps; a single
    step that takes long (a power of huge numbers) is not.

    Args:
        tokenizer: A tokenizer with a chat template.
        messages: Each with `role` and `content`.
        options: Switches of the chat template itself.

    Raises:
        TypeError: The tokenizer is none.
        ValueError: The tokenizer has no chat template, a message lacks its role or its content, or
            the template refuses the messages or does not end.
    """
    require_tokenizer(tokenizer)
    _require_messages(messages)
    if not tokenizer.chat_template:
        raise ValueError(
            f"Expected a tokenizer with a chat template; found none in {_name(tokenizer)}. "
            "Use the base template, or give your own text with {context} and {question}."
        )
    try:
        with _limited_steps():
            text = tokenizer.apply_chat_template(
                [dict(message) for message in messages],
                tokenize=False,
                add_generation_prompt=True,
                **options,
            )
    except Exception as error:  # a chat template is a program of its own and may raise anything
        roles = [message.get("role") for message in messages]
        raise ValueError(
            f"Expected the chat template of {_name(tokenizer)} to accept messages of roles "
            f"{shown(roles)}; found {type(error).__name__}: {_cut(error)}. Leave out system= if it "
            "knows no system message."
        ) from error
    if len(text) > MAX_RENDERED:
        raise ValueError(
            f"Expected {MAX_RENDERED:,} characters or fewer of the chat template of "
            f"{_name(tokenizer)}; found {len(text):,}. Use another template, or shorter messages."
        )
    return text


def _require_messages(messages: Sequence[Mapping[str, str]]) -> None:
    if not messages:
        raise ValueError(
            "Expected text to be chat messages; found none. Pass [{'role': ..., 'content': ...}]."
        )
    for place, message in enumerate(messages):
        for field in ("role", "content"):
            require_text(f"text[{place}][{field!r}]", message.get(field))


@contextmanager
def _limited_steps() -> Iterator[None]:
    """Context in which a chat template is stopped after `MAX_STEPS` lines of its program."""
    left = MAX_STEPS
    before = sys.gettrace()

    def count(frame: FrameType, event: str, value: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != _COMPILED:
            return None
        left -= 1
        if left < 0:
            raise TimeoutError(f"more than {MAX_STEPS:,} steps, and no end")
        return count

    sys.settrace(count)
    try:
        yield
    finally:
        sys.settrace(before)


def _name(tokenizer: PreTrainedTokenizerBase) -> str:
    return shown(str(tokenizer.name_or_path))


def _cut(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
