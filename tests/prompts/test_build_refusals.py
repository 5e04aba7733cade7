"""What `build_grid` and `build_prompt` refuse, and what they say."""

import pytest
from transformers import PreTrainedTokenizerBase

from rh_lens.prompts import Haystack, Needle, build_grid, build_prompt, text_haystack

Tokenizers = dict[str, PreTrainedTokenizerBase]


def test_needle_longer_than_the_context_is_refused(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    tokenizer = tokenizers["byte_level"]
    with pytest.raises(ValueError, match=r"Expected a context of (\d+) tokens or more") as caught:
        build_prompt(tokenizer, haystack, needle, context_length=20, depth=0.5)
    assert f"needle {needle.name}" in str(caught.value)
    assert "found context_length=20" in str(caught.value)
    smallest = int(str(caught.value).split("context of ")[1].split()[0])
    prompt = build_prompt(tokenizer, haystack, needle, context_length=smallest, depth=0.5)
    assert len(prompt.tokens) == smallest
    with pytest.raises(ValueError, match=f"context of {smallest} tokens"):
        build_prompt(tokenizer, haystack, needle, context_length=smallest - 1, depth=0.5)


def test_short_haystack_is_refused_unless_repeating_is_asked(
    tokenizers: Tokenizers, needle: Needle
):
    haystack = text_haystack(["The lamp was red. Nobody came."], name="tiny")
    n_tokens = len(tokenizers["byte_level"](haystack.text)["input_ids"])
    found = rf"found {n_tokens} in haystack 'tiny'\. .* allow_repeat=True"
    with pytest.raises(ValueError, match=rf"haystack tokens for context_length=300 .* {found}"):
        build_prompt(tokenizers["byte_level"], haystack, needle, context_length=300, depth=0.5)


def test_length_beyond_the_models_window_is_refused(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    grid = {"context_lengths": [256, 1024, 2048], "depths": 2, "max_context": 992}
    with pytest.raises(ValueError, match=r"lengths of 992 tokens or fewer .* found \[1024, 2048\]"):
        build_grid(tokenizers["byte_level"], haystack, [needle], **grid)


def test_one_needle_and_one_length_need_no_list(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    tokenizer = tokenizers["byte_level"]
    listed = build_grid(tokenizer, haystack, [needle], context_lengths=[300], depths=2)
    single = build_grid(tokenizer, haystack, needle, context_lengths=300, depths=2)
    assert [prompt.sha256 for prompt in single] == [prompt.sha256 for prompt in listed]
    assert len(single) == 2


@pytest.mark.parametrize("depth", [-0.1, 1.5, float("nan")])
def test_depths_outside_zero_to_one_are_refused(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle, depth: float
):
    with pytest.raises(
        ValueError, match=rf"Expected depth to be a number from 0 to 1; found {depth}"
    ):
        build_prompt(tokenizers["byte_level"], haystack, needle, context_length=300, depth=depth)


def test_empty_grids_and_negative_offsets_are_refused(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    tokenizer = tokenizers["byte_level"]
    with pytest.raises(ValueError, match="context_lengths to have 1 or more entries; found 0"):
        build_grid(tokenizer, haystack, [needle], context_lengths=[])
    with pytest.raises(ValueError, match="Expected needles to have 1 or more entries; found 0"):
        build_grid(tokenizer, haystack, [], context_lengths=[300])
    with pytest.raises(ValueError, match=r"haystack_offset to be a whole .*; found -5"):
        build_grid(tokenizer, haystack, [needle], context_lengths=[300], haystack_offset=-5)


def test_text_without_sentences_is_refused_where_a_depth_is_asked_for(
    tokenizers: Tokenizers, needle: Needle
):
    haystack = text_haystack(["red lamp " * 500], name="words")
    with pytest.raises(ValueError, match=r"no sentence boundary in its first .* every depth would"):
        build_prompt(tokenizers["byte_level"], haystack, needle, context_length=300, depth=0.5)
    prompt = build_prompt(tokenizers["byte_level"], haystack, needle, context_length=300, depth=0.0)
    assert prompt.depth == 0.0


def test_text_that_a_tokenizer_cannot_write_is_refused(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    rare = Needle("Which sign?", "The sign is ꙮꙮ today.", "ꙮꙮ")
    with pytest.raises(ValueError, match=r"spell the answer 'ꙮꙮ'; found '<unk>'"):
        build_prompt(tokenizers["wordpiece"], haystack, rare, context_length=300, depth=0.5)
    controls = text_haystack(["\x01\x02"], name="controls")
    with pytest.raises(ValueError, match="Expected tokens of haystack 'controls'; found none"):
        build_prompt(tokenizers["wordpiece"], controls, needle, context_length=300, depth=0.5)
