import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from reference_runs import longest_circle, longest_runs

from rh_lens.evaluation.repetition import (
    NOWHERE,
    longest_cycle,
    longest_own_run,
    run_lengths,
    words_of,
)

TOKENS = st.lists(st.integers(0, 3), max_size=14)
TEXT = st.lists(st.integers(-1, 3), max_size=25)


@given(TOKENS, TEXT)
def test_run_lengths_equal_plain_loops(said, text):
    lengths, starts = run_lengths(said, np.array(text, dtype=np.int64))
    expected, where = longest_runs(said, text)
    assert lengths.tolist() == expected
    found = [start for start, length in zip(starts.tolist(), expected, strict=True) if length]
    assert found == [start for start, length in zip(where, expected, strict=True) if length]


@given(TOKENS)
def test_longest_cycle_equals_plain_loops(said):
    assert longest_cycle(said) == longest_circle(said, 3)
    assert longest_cycle(said, n_times=2) == longest_circle(said, 2)


def test_no_run_spans_a_gap():
    text = np.array([5, 6, NOWHERE, 7, 8])
    lengths, starts = run_lengths([5, 6, 7, 8], text)
    assert lengths.tolist() == [1, 2, 1, 2]
    assert starts.tolist() == [0, 0, 3, 3]


def test_of_runs_alike_the_first_counts():
    lengths, starts = run_lengths([4, 5], np.array([4, 5, 9, 4, 5]))
    assert (lengths.tolist(), starts.tolist()) == ([1, 2], [0, 0])


def test_a_cycle_is_gone_through_three_times():
    assert longest_cycle([1, 2, 1, 2]) == 0
    assert longest_cycle([1, 2, 1, 2, 1]) == 0
    assert longest_cycle([9, 1, 2, 1, 2, 1, 2, 1, 8]) == 7
    assert longest_cycle([7, 7]) == 0
    assert longest_cycle([7, 7, 7]) == 3
    assert longest_cycle([]) == 0


def test_a_run_must_be_the_needles_own():
    answer, haystack = words_of("the violet otter"), words_of("By the old bridge, the violet boat.")
    assert longest_own_run(words_of("the moon"), answer, haystack) == 0
    assert longest_own_run(words_of("the moon"), answer, ["sea"]) == 0
    assert longest_own_run(words_of("the otter"), ["the", "otter"], ["sea"]) == 2
    assert longest_own_run(words_of("the violet sea"), answer, haystack) == 0
    assert longest_own_run(words_of("an otter"), answer, haystack) == 1
    assert longest_own_run(words_of("a violet otter"), answer, haystack) == 2
    assert longest_own_run(words_of("The Violet Otter!"), answer, haystack) == 3
    assert longest_own_run([], answer, haystack) == 0


def test_words_have_no_case_and_no_marks():
    assert words_of("Don't say 'B-12', Zoë_x!") == ["don", "t", "say", "b", "12", "zoë", "x"]
    assert words_of("蓝色 lantern灯") == ["蓝", "色", "lantern", "灯"]
    assert words_of("... \n") == []
