"""Prompts from a text that holds its answer already."""

import re

import pytest
import torch

from rh_lens.prompts import prompt_from_text, text_haystack
from rh_lens.prompts.build import build_prompt

TEXT = "It rained all day. The secret word is a violet otter. Nobody heard it. Night fell."


def read(tokenizer, prompt, span):
    return tokenizer.decode(prompt.tokens[slice(*span)]).strip()


def test_spans_are_found_in_the_text(tiny_tokenizer):
    prompt = prompt_from_text(
        tiny_tokenizer, TEXT, answer="a violet otter", question="What is the secret word?"
    )
    assert read(tiny_tokenizer, prompt, prompt.answer_span) == "a violet otter"
    sentence = "The secret word is a violet otter."
    assert read(tiny_tokenizer, prompt, prompt.needle_span) == sentence == prompt.needle.text
    assert prompt.span_is_exact
    assert prompt.needle.question == "What is the secret word?"
    whole = tiny_tokenizer.decode(prompt.tokens)
    assert whole.endswith(TEXT + "\n\nQuestion: What is the secret word?\nAnswer:")
    assert prompt.context_length == len(prompt.tokens)
    assert 0.1 < prompt.depth < 0.4


def test_a_built_prompt_given_as_text_is_the_same_prompt(tiny_tokenizer, otter_needle):
    built = build_prompt(
        tiny_tokenizer, text_haystack([TEXT]), otter_needle, context_length=120, depth=1.0,
        allow_repeat=True,
    )  # fmt: skip
    n_start = len(tiny_tokenizer("x")["input_ids"]) - len(
        tiny_tokenizer("x", add_special_tokens=False)["input_ids"]
    )
    text = tiny_tokenizer.decode(built.tokens[n_start:])
    again = prompt_from_text(tiny_tokenizer, text, answer=otter_needle.answer, occurrence=-1)
    assert torch.equal(again.tokens, built.tokens)
    assert again.answer_span == built.answer_span


def test_a_whole_prompt_and_messages_ask_by_themselves(tiny_tokenizer):
    whole = f"{TEXT}\nWhat is the secret word?"
    prompt = prompt_from_text(tiny_tokenizer, whole, answer="a violet otter")
    assert tiny_tokenizer.decode(prompt.tokens).endswith(whole)
    assert prompt.needle.question == "What is the secret word?"

    template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
    tiny_tokenizer.chat_template = template
    try:
        messages = [{"role": "user", "content": whole}]
        chat = prompt_from_text(tiny_tokenizer, messages, answer="a violet otter")
        with pytest.raises(ValueError, match="messages that ask by themselves; found the question"):
            prompt_from_text(tiny_tokenizer, messages, answer="a violet otter", question="What?")
    finally:
        tiny_tokenizer.chat_template = None
    assert tiny_tokenizer.decode(chat.tokens).endswith(f"user: {whole}\nassistant:")
    assert read(tiny_tokenizer, chat, chat.answer_span) == "a violet otter"
    with pytest.raises(ValueError, match="a tokenizer with a chat template"):
        prompt_from_text(tiny_tokenizer, messages, answer="a violet otter")


def test_of_several_answers_the_first_that_stands_there_is_copied(tiny_tokenizer):
    prompt = prompt_from_text(tiny_tokenizer, TEXT, answer=["an otter", "a violet otter"])
    assert prompt.needle.answer == "a violet otter"
    assert prompt.needle.answers == ("a violet otter", "an otter")


def test_an_answer_that_stands_twice_needs_its_place(tiny_tokenizer):
    twice = "A red otter came. Then a red otter left."
    with pytest.raises(ValueError, match=r"found it 2 times: .*occurrence=0 to 1"):
        prompt_from_text(tiny_tokenizer, twice, answer="red otter")
    first = prompt_from_text(tiny_tokenizer, twice, answer="red otter", occurrence=0)
    last = prompt_from_text(tiny_tokenizer, twice, answer="red otter", occurrence=-1)
    assert first.needle.text == "A red otter came."
    assert last.needle.text == "Then a red otter left."
    assert first.answer_span[1] <= last.answer_span[0]
    with pytest.raises(ValueError, match="occurrence to be a whole number from -2 to 1; found 2"):
        prompt_from_text(tiny_tokenizer, twice, answer="red otter", occurrence=2)


def test_an_answer_that_is_not_there_is_refused(tiny_tokenizer):
    with pytest.raises(ValueError, match=r"Expected the answer in the text; found none of"):
        prompt_from_text(tiny_tokenizer, TEXT, answer="a green otter")


def test_a_prompt_shows_its_text_with_the_needle_marked(tiny_tokenizer):
    text = f"<b>{TEXT}</b> " + "It went on and on. " * 100
    html = prompt_from_text(tiny_tokenizer, text, answer="a violet otter")._repr_html_()
    marked = re.search(r"<mark>(.*)<b>(.*)</b>(.*)</mark>", html)
    assert [part.strip() for part in marked.groups()] == [
        "The secret word is",
        "a violet otter",
        ".",
    ]
    assert "&lt;b&gt;It rained" in html
    assert "characters ...]" in html
    assert len(html) < 2_500
