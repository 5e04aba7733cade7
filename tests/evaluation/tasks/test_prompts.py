"""Prompts of a task: what is read, and where its parts stand."""

from dataclasses import replace

import pytest
from transformers import PreTrainedTokenizerBase

from rh_lens.evaluation.tasks import (
    CHAIN,
    CHOICES,
    READING,
    Task,
    TaskItem,
    TaskTemplate,
    exact_match,
    examples_from,
    first_line,
    keep_fitting,
    task_prompts,
)

TEXT = "The otter was violet. The heron was grey. Violet is a colour."
ITEMS = (
    TaskItem("a", "What was the otter?", ("violet",), TEXT, "zoo"),
    TaskItem("b", "What was the heron?", ("grey", "a grey one"), TEXT, "zoo"),
    TaskItem("c", "What is it?", (), TEXT, chain="Nobody says."),
)


def make(items: tuple[TaskItem, ...] = ITEMS, template: TaskTemplate = READING, **parts) -> Task:
    return Task("own", items, template, first_line, {"exact": exact_match}, **parts)


def test_the_text_is_the_template_filled_in(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    prompt = task_prompts(tiny_tokenizer, make())[0]
    said = tiny_tokenizer.decode(prompt.tokens, skip_special_tokens=True)
    assert said == f"{TEXT}\n\nQuestion: What was the otter?\nAnswer:"
    assert int(prompt.tokens[0]) == tiny_tokenizer.bos_token_id
    assert (prompt.tokens == tiny_tokenizer.bos_token_id).sum() == 1


def test_spans_hold_document_question_and_every_place_of_the_answer(
    tiny_tokenizer: PreTrainedTokenizerBase,
) -> None:
    first, second, third = task_prompts(tiny_tokenizer, make())

    def text(span: tuple[int, int]) -> str:
        return tiny_tokenizer.decode(first.tokens[slice(*span)]).strip()

    assert first.context_span is not None
    assert first.question_span is not None
    assert text(first.context_span) == TEXT
    assert text(first.question_span) == "What was the otter?"
    # "Violet" at the sentence's start counts: places are found without regard to case.
    assert [text(span).lower() for span in first.answer_spans] == ["violet", "violet"]
    assert len(second.answer_spans) == 1
    assert third.answer_spans == ()
    assert (first.document, third.document) == ("zoo", "c")


def test_prompts_of_one_document_share_all_of_it(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    first, second, _ = task_prompts(tiny_tokenizer, make())
    assert first.context_span is not None
    stop = first.context_span[1]
    assert first.context_span == second.context_span
    assert first.tokens[:stop].equal(second.tokens[:stop])


def test_examples_stand_in_front_with_their_answers(
    tiny_tokenizer: PreTrainedTokenizerBase,
) -> None:
    items = tuple(
        TaskItem(str(n), f"{n} + 1?", (str(n + 1),), chain=f"{n} and 1.") for n in range(3)
    )
    task = examples_from(make(items), 2, CHAIN)
    (prompt,) = task_prompts(tiny_tokenizer, task)
    assert tiny_tokenizer.decode(prompt.tokens, skip_special_tokens=True) == (
        "Question: 0 + 1?\nAnswer: Let's think step by step. 0 and 1. The answer is 1.\n\n"
        "Question: 1 + 1?\nAnswer: Let's think step by step. 1 and 1. The answer is 2.\n\n"
        "Question: 2 + 1?\nAnswer: Let's think step by step."
    )
    assert prompt.context_span is None
    assert prompt.source_span == (0, len(prompt.tokens))


def test_choices_are_lettered(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    item = TaskItem("q", "Where {choices}?", ("B",), choices=("Rome", "Paris {question}"))
    (prompt,) = task_prompts(tiny_tokenizer, make((item,), CHOICES))
    said = tiny_tokenizer.decode(prompt.tokens, skip_special_tokens=True)
    assert said == "Where {choices}?\nA. Rome\nB. Paris {question}\nAnswer:"


def test_the_name_of_a_special_token_in_a_document_is_plain_text(
    tiny_tokenizer: PreTrainedTokenizerBase,
) -> None:
    name = tiny_tokenizer.eos_token
    item = TaskItem("q", f"And {name}?", ("x",), f"Here is {name} in the text.")
    (prompt,) = task_prompts(tiny_tokenizer, make((item,)))
    assert tiny_tokenizer.eos_token_id not in prompt.tokens.tolist()
    (other,) = task_prompts(
        tiny_tokenizer, make((item,), TaskTemplate("own", name + "{context}{question}"))
    )
    assert other.tokens.tolist().count(tiny_tokenizer.eos_token_id) == 1


def test_a_chat_keeps_examples_apart_and_ends_where_the_assistant_begins(
    tiny_tokenizer: PreTrainedTokenizerBase,
) -> None:
    tokenizer = tiny_tokenizer.__class__.from_pretrained(tiny_tokenizer.name_or_path)
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}[assistant]"
    )
    task = make(ITEMS[1:], examples=ITEMS[:1])
    prompt = task_prompts(tokenizer, task, chat=True)[0]
    said = tokenizer.decode(prompt.tokens, skip_special_tokens=True)
    asked = "[user]" + READING.filled(ITEMS[0]) + "\n[assistant]violet\n"
    assert said == asked + "[user]" + READING.filled(ITEMS[1]) + "\n[assistant]"


def test_items_that_do_not_fit_are_counted(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    short = TaskItem("s", "What?", ("x",), "Short.")
    task = make((*ITEMS, short), max_new_tokens=4)
    kept, n_left_out = keep_fitting(tiny_tokenizer, task, max_tokens=60)
    assert ([item.id for item in kept.items], n_left_out) == (["s"], 3)
    with pytest.raises(ValueError, match=r"Expected items whose .*fit max_tokens of 9"):
        keep_fitting(tiny_tokenizer, task, max_tokens=9)


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("{context}{context}{question}", "each at most once"),
        ("{question} {context}", "before"),
        ("{place}{question}", "Rename"),
        ("nothing", "neither"),
    ],
)
def test_templates_that_are_none(text: str, piece: str) -> None:
    with pytest.raises(ValueError, match=piece):
        TaskTemplate("bad", text)


def test_braces_of_another_kind_are_plain_text() -> None:
    assert TaskTemplate("own", "{question} {} {1}").filled(ITEMS[0]) == "What was the otter? {} {1}"


def test_two_items_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="found 'a' twice"):
        make((ITEMS[0], ITEMS[0]))
    with pytest.raises(ValueError, match="Expected an example with a way"):
        make(ITEMS, CHAIN, examples=ITEMS[:1])
    with pytest.raises(ValueError, match="items with choices"):
        make(answering="choose")
    assert replace(make(), max_new_tokens=3).max_new_tokens == 3
