from copy import deepcopy
from types import SimpleNamespace

import pytest

from rh_lens.runtime import StopRule, eos_token_ids, stop_rule
from rh_lens.runtime.stop import decode_exactly, tokens_before

NEWLINE = StopRule(frozenset(), ("\n",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("otter", None),
        ("otter\n", (5, "newline")),
        ("otter.\n\nNext", (6, "newline")),
        ("\n\notter", None),
        ("\n\n  otter\nmore", (9, "newline")),
        ("\n \n", None),
    ],
)
def test_a_newline_counts_only_behind_the_first_visible_character(text, expected):
    assert NEWLINE.first_match(text) == expected


def test_other_strings_count_anywhere_and_the_first_one_wins():
    rule = StopRule(frozenset(), ("\n", "END", "\nQ:"))
    assert rule.first_match("END") == (0, "string")
    assert rule.first_match("\nQ: what") == (0, "string")
    assert rule.first_match("a\nEND") == (1, "newline")
    assert rule.first_match("aEND\n") == (1, "string")


def test_an_empty_stop_string_is_refused():
    with pytest.raises(ValueError, match="at least one character"):
        StopRule(frozenset(), ("END", ""))


def test_the_tokenizers_own_end_and_a_newline_by_default(tiny_tokenizer):
    assert stop_rule(tiny_tokenizer) == StopRule(frozenset({1}), ("\n",))


def test_everything_can_be_chosen(tiny_tokenizer):
    rule = stop_rule(tiny_tokenizer, newline=False, strings=["END"], eos=[7, 8])
    assert rule == StopRule(frozenset({7, 8}), ("END",))


def test_a_tokenizer_without_end_of_sequence(tiny_tokenizer):
    endless = deepcopy(tiny_tokenizer)
    endless.eos_token = None
    assert stop_rule(endless).token_ids == frozenset()


def test_ends_named_by_tokenizer_generation_and_model_configuration_are_joined():
    hf_model = SimpleNamespace(
        generation_config=SimpleNamespace(eos_token_id=[128001, 128009]),
        config=SimpleNamespace(eos_token_id=None),
    )
    model = SimpleNamespace(
        tokenizer=SimpleNamespace(eos_token_id=2), original_model=hf_model, blocks_with=None
    )
    assert eos_token_ids(model) == {2, 128001, 128009}


def test_a_token_that_reaches_beyond_the_cut_is_dropped(tiny_tokenizer):
    tokens = tiny_tokenizer.encode("a violet otter", add_special_tokens=False)
    assert decode_exactly(tiny_tokenizer, tokens) == "a violet otter"
    assert tokens_before(tiny_tokenizer, tokens, 2) == 2  # "a", " "
    assert tokens_before(tiny_tokenizer, tokens, 5) == 2  # "viol" reaches to 6
    assert tokens_before(tiny_tokenizer, tokens, 6) == 3
    assert tokens_before(tiny_tokenizer, tokens, 0) == 0
