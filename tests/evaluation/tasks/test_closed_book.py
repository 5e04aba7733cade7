"""Items that a model knows without their document are left out and counted."""

from typing import Any

import pytest
from planted import PlantedModel

from rh_lens.evaluation.tasks import (
    READING,
    Task,
    TaskItem,
    exact_match,
    first_line,
    without_known_items,
)

ITEMS = (
    TaskItem("known", "What was the otter?", ("violet",), "The otter was violet."),
    TaskItem("unknown", "What was the heron?", ("grey",), "The heron was grey."),
    TaskItem("nothing", "What was the crane?", (), "The crane."),
)


def test_known_items_are_left_out_and_counted(llama: Any) -> None:
    task = Task("own", ITEMS, READING, first_line, {"exact": exact_match})
    texts = [f"Question: {item.question}\nAnswer:" for item in ITEMS[:2]]
    tokenizer = llama.tokenizer
    # What is asked is the template without the document, from its question on.
    prompts = {
        text: [
            llama.tokenizer.bos_token_id,
            *tokenizer.encode(text, add_special_tokens=False),
        ]
        for text in texts
    }
    first, second = sorted(texts, key=prompts.__getitem__)
    said = {texts[0]: "violet", texts[1]: "blue"}
    planted = PlantedModel(
        llama,
        [len(prompts[first]), len(prompts[second])],
        [llama.tokenizer.encode(said[t], add_special_tokens=False) for t in (first, second)],
        [{}, {}],
    )
    with llama.hooks(fwd_hooks=planted.fwd_hooks()):
        split = without_known_items(llama, task, progress=False)
    assert (split.n_known, split.n_asked) == (1, 2)
    assert [item.id for item in split.task.items] == ["unknown", "nothing"]
    assert split.task.items[0].context == "The heron was grey."
    assert split.answers.set_index("item")["answer"].to_dict() == {
        "known": "violet",
        "unknown": "blue",
    }


def test_without_documents_nothing_can_be_asked_without_them(llama: Any) -> None:
    task = Task("own", (TaskItem("a", "2 + 2?", ("4",)),), READING, first_line,
                {"exact": exact_match})  # fmt: skip
    with pytest.raises(ValueError, match="Leave the filter out"):
        without_known_items(llama, task, progress=False)
