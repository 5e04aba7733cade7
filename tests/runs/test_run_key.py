import json

import pytest
from stored_runs import choices, model_description

from rh_lens.runs import describe_model, run_key
from rh_lens.runs.run_key import key_differences, key_sha256
from rh_lens.runtime import StopRule


def key(prompts, **changes):
    return run_key(model_description(), prompts, choices(**changes))


def test_a_key_is_json_and_holds_what_can_move_a_number(llama, otter_prompt):
    found = run_key(describe_model(llama, "tiny"), [otter_prompt], choices())
    assert json.loads(json.dumps(found)) == found
    assert found["options"] == {
        "score": "position",
        "threshold": 0.1,
        "min_recall": 0.5,
        "max_new_tokens": 7,
        "stop": {"token_ids": [1], "strings": ["\n"]},
        "hooks": None,
    }
    assert found["device"] == "cpu"
    assert set(found["model"]) >= {"dtype", "weights_sha256", "tokenizer_sha256"}
    assert set(found["versions"]) >= {"torch", "transformers", "transformer_lens", "rouge-score"}
    assert "python" not in found["versions"]


def test_equal_runs_have_equal_keys_wherever_the_model_lies(otter_prompt):
    one = run_key(model_description(name="here", device="cuda:1"), [otter_prompt], choices())
    other = run_key(model_description(name="there", device="cuda:0"), [otter_prompt], choices())
    assert key_sha256(one) == key_sha256(other)
    assert key_differences(one, other) == []
    assert len(key_sha256(one)) == 16


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0.2},
        {"score": "event"},
        {"max_new_tokens": 8},
        {"min_recall": 0.4},
        {"stop": StopRule(frozenset({1}), ("\n", "\n\n"))},
        {"stop": StopRule(frozenset({1, 2}), ("\n",))},
    ],
)
def test_another_option_is_another_key(otter_prompt, change):
    one, other = key([otter_prompt]), key([otter_prompt], **change)
    assert key_sha256(one) != key_sha256(other)
    (name,) = change
    (difference,) = key_differences(one, other)
    assert difference.startswith(f"options.{name}")


def test_the_order_of_prompts_is_part_of_the_key(otter_prompt, make_other):
    one, other = key([otter_prompt, make_other]), key([make_other, otter_prompt])
    differences = key_differences(one, other)
    assert differences[0].startswith("prompts.sha256: '")
    assert {text.partition(":")[0] for text in differences} >= {"prompts.tokens", "prompts.depth"}
    assert all(len(text) < 90 for text in differences)


@pytest.fixture
def make_other(otter_prompt):
    from planted import make_prompt

    return make_prompt(otter_prompt.tokens.tolist()[::-1], (3, 5))
