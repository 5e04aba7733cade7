import sys
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from rh_lens.prompts import BASE_TEMPLATE, Template, chat_template, load_template

CHAT = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>\n"
    "{{ message['content'] | trim }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% if think %}Hmm. {% endif %}{% endif %}"
)
NO_SYSTEM = "{{ raise_exception('no system role') if messages[0]['role'] == 'system' }}" + CHAT


@pytest.fixture
def chatty(
    tokenizers: dict[str, PreTrainedTokenizerBase], monkeypatch: pytest.MonkeyPatch
) -> PreTrainedTokenizerBase:
    tokenizer = tokenizers["metaspace"]
    monkeypatch.setattr(tokenizer, "chat_template", CHAT)
    return tokenizer


def test_base_template_splits_around_the_context():
    assert BASE_TEMPLATE.split("Who {context} came?") == (
        "",
        "\n\nQuestion: Who {context} came?\nAnswer:",
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{context} Answer:", r"'\{question\}': 0\}, fields \['\{context\}'\]"),
        ("{contxt} {question}", r"'\{context\}': 0, .* fields \['\{contxt\}', '\{question\}'\]"),
        ("{context} {question} {question}", r"'\{question\}': 2"),
        ("{question} {context}", "found the question first"),
    ],
)
def test_each_field_stands_once_context_first(text: str, found: str):
    with pytest.raises(ValueError, match=found):
        Template("mine", text)


def test_chat_is_the_tokenizers_own_format(chatty: PreTrainedTokenizerBase):
    before, after = chat_template(chatty, system="Be brief.").split("Who?")
    assert before == "<s><|system|>\nBe brief.</s>\n<|user|>\n"
    assert after == "\n\nQuestion: Who?</s>\n<|assistant|>\n"


def test_chat_takes_the_templates_own_switches_and_another_message(
    chatty: PreTrainedTokenizerBase,
):
    template = chat_template(chatty, content="{context} {question}", think=True)
    assert template.split("Who?")[1] == " Who?</s>\n<|assistant|>\nHmm. "


def test_chat_needs_a_chat_template_that_accepts_the_messages(
    chatty: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(chatty, "chat_template", NO_SYSTEM)
    assert chat_template(chatty).name == "chat"
    with pytest.raises(ValueError, match=r"\['system', 'user'\]; found .*no system role"):
        chat_template(chatty, system="Be brief.")
    monkeypatch.setattr(chatty, "chat_template", None)
    with pytest.raises(ValueError, match="Expected a tokenizer with a chat template; found none"):
        chat_template(chatty)


@pytest.mark.parametrize(
    ("program", "found"),
    [
        pytest.param(
            "{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3,
            "TimeoutError: more than 1,000,0",
            marks=pytest.mark.slow,
        ),
        ("{{ 'x' * 20000000 }}", "found 20,000,000"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "found RecursionError"),
    ],
)
def test_chat_templates_without_an_end_are_stopped(
    chatty: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch, program: str, found: str
):
    tracing = sys.gettrace()
    monkeypatch.setattr(chatty, "chat_template", program)
    with pytest.raises(ValueError, match=found):
        chat_template(chatty)
    assert sys.gettrace() is tracing


def test_load_template_knows_every_source(chatty: PreTrainedTokenizerBase, tmp_path: Path):
    file = tmp_path / "mine.txt"
    file.write_text("Read: {context}\n{question}")
    assert load_template("base", chatty) == BASE_TEMPLATE
    assert load_template("chat", chatty) == chat_template(chatty)
    assert load_template("{context} {question}", chatty) == Template(
        "custom", "{context} {question}"
    )
    assert load_template(str(file), chatty) == Template("mine.txt", "Read: {context}\n{question}")


def test_load_template_refuses_unknown_names_and_fields(chatty: PreTrainedTokenizerBase):
    with pytest.raises(ValueError, match="found 'chatt', and no such file"):
        load_template("chatt", chatty)
    with pytest.raises(ValueError, match=r"found \{depth\}, \{needle\}\. Rename or remove them"):
        load_template("{context} {needle} {depth} {question}", chatty)
