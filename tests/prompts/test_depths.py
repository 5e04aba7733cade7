"""A grid has the depths that exist, each prompt once."""

import warnings

import pytest
from transformers import PreTrainedTokenizerBase

from rh_lens.prompts import (
    Haystack,
    Needle,
    build_grid,
    build_prompt,
    default_needles,
    distinct_prompts,
    synthetic_haystack,
    text_haystack,
)
from rh_lens.prompts.depths import places_of_depths

Tokenizers = dict[str, PreTrainedTokenizerBase]
TENS = range(0, 100, 10)


def test_a_depth_means_the_last_boundary_at_or_before_it():
    depths = [0.0, 0.05, 0.55, 0.99, 1.0]
    found = places_of_depths(depths[2:4], TENS, room=100, start=0, move=True)
    assert found == [(0.55, 50), (0.99, 90)]
    found = places_of_depths(depths, TENS, room=100, start=0, move=False)
    assert found == [(0.0, 0), (0.55, 50), (0.99, 90)]


def test_a_number_of_depths_moves_to_boundaries_that_exist():
    """0, 2 and 90: both 0.5 and 0 mean one of the first two."""
    assert places_of_depths([0.0, 0.5, 1.0], [0, 2, 90], room=100, start=0, move=True) == [
        (0.0, 0),
        (0.5, 2),
        (1.0, 90),
    ]


def test_with_fewer_boundaries_than_depths_all_are_taken_by_the_nearest():
    depths = [i / 9 for i in range(10)]
    found = places_of_depths(depths, [5, 35, 90], room=100, start=5, move=True)
    assert [place for _, place in found] == [5, 35, 90]
    assert [round(depth * 9) for depth, _ in found] == [0, 3, 8]


def test_the_default_grid_has_no_prompt_twice_and_says_how_many_there_are():
    """Ten depths at 128 tokens were 46 prompts of 120, the others repeated these."""
    from transformers import AutoTokenizer

    from rh_lens.demo import DEMO_MODEL_FOLDER

    tokenizer = AutoTokenizer.from_pretrained(DEMO_MODEL_FOLDER)
    with pytest.warns(UserWarning, match="Expected 360 prompts.* found 286 that differ: 46 at 128"):
        prompts = build_grid(
            tokenizer, synthetic_haystack(), default_needles(), context_lengths=[128, 256, 512]
        )
    assert len(prompts) == len({prompt.tokens_sha256 for prompt in prompts}) == 286
    # Up to 0.54 before, at 64 to 160 tokens.
    assert max(abs(prompt.depth - prompt.requested_depth) for prompt in prompts) < 0.1


def test_a_grid_whose_depths_exist_is_as_before_and_warns_of_nothing(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prompts = build_grid(
            tokenizers["byte_level"], haystack, [needle], context_lengths=[900], depths=4
        )
        alone = [
            build_prompt(
                tokenizers["byte_level"], haystack, needle, context_length=900, depth=depth
            )
            for depth in (0.0, 1 / 3, 2 / 3, 1.0)
        ]
    assert [one.sha256 for one in prompts] == [one.sha256 for one in alone]


def test_all_boundaries_that_exist_are_there_when_more_are_asked_for(
    tokenizers: Tokenizers, needle: Needle
):
    haystack = text_haystack(["The cold lamp was red. " * 100])
    tokenizer = tokenizers["byte_level"]
    with pytest.warns(UserWarning, match="Expected 99 prompts"):
        prompts = build_grid(tokenizer, haystack, [needle], context_lengths=[200], depths=99)
    starts = [prompt.needle_span[0] for prompt in prompts]
    first, n = (
        len(tokenizer(text)["input_ids"])
        for text in ("The cold lamp was red.", " The cold lamp was red.")
    )
    assert starts == [0, *range(first, starts[-1] + 1, n)]
    assert len(starts) > 3
    assert all(abs(p.requested_depth - p.depth) < 0.06 for p in prompts)
    assert prompts[-1].depth + n / 100 > 1 - 0.1


def test_depths_that_are_named_stay_and_repeats_are_left_out(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    grid = {"context_lengths": [150], "depths": [0.5, 0.51, 0.5]}
    with pytest.warns(UserWarning, match="Expected 3 prompts.* found 1 that differ"):
        (prompt,) = build_grid(tokenizers["byte_level"], haystack, [needle], **grid)
    assert prompt.requested_depth == 0.5


def test_needles_and_lengths_that_repeat_count_once(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    with pytest.warns(UserWarning, match="Expected 8 prompts.* found 2 that differ"):
        prompts = build_grid(
            tokenizers["byte_level"],
            haystack,
            [needle, needle],
            context_lengths=[300, 300],
            depths=[0.0, 1.0],
        )
    assert len(prompts) == 2
    assert distinct_prompts([*prompts, *prompts]) == prompts
