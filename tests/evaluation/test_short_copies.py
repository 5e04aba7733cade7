"""Short answers: a distractor's, a name, a number, or a word that stands anywhere."""

import pytest

from rh_lens.evaluation import ErrorRules
from rh_lens.evaluation.error_rules import trace
from rh_lens.evaluation.prompt_parts import prompt_parts
from rh_lens.evaluation.short_copies import names_of, said_answer, stands_in_full
from rh_lens.prompts import Distractor, Needle, build_prompt, text_haystack

PROSE = (
    "The number of the boat is 5528. Every lantern was red. The name of the cook is Sybil. "
    "People thought the painter slept. The grey heron of Orrin came at noon. "
)
MAUD = Distractor("The name of the pilot is Maud.", "Maud")
STONES = Distractor("The number of stones in the ford is 4417.", "4417")
RIVER = Distractor("The name of the canal is the Unknown River.", "the Unknown River")
NEEDLE = Needle(
    "What is the name of the miller?",
    "The name of the miller is Dorrin Vale.",
    "Dorrin Vale",
    distractors=(MAUD, STONES, RIVER),
)


@pytest.fixture(scope="module")
def parts(tiny_tokenizer):
    haystack = text_haystack([PROSE * 20])
    prompt = build_prompt(tiny_tokenizer, haystack, NEEDLE, context_length=400, depth=0.5)
    return prompt_parts(prompt, tiny_tokenizer)


@pytest.fixture
def judge(parts, tiny_tokenizer):
    """Type of an answer, and what was found of it."""

    def judge(text, **rules):
        said = tiny_tokenizer.encode(text, add_special_tokens=False)
        found = trace(parts, said, text, tiny_tokenizer)
        return ErrorRules(**rules).error_type(text, len(said), found), found

    return judge


@pytest.mark.parametrize("mark", ["", ".", "!", "\n"])
@pytest.mark.parametrize("before", ["", " ", " It is "])
@pytest.mark.parametrize("answer", ["Maud", "4417", "the Unknown River", "maud"])
def test_a_distractors_whole_answer_is_a_wrong_extraction(judge, before, answer, mark):
    """With a full stop it always was; without, fewer than four tokens were a hallucination."""
    error, found = judge(before + answer + mark)
    assert error == "wrong extraction"
    assert found["says_distractor"]
    assert found["distractor"].casefold() == answer.casefold()


@pytest.mark.parametrize("text", ["Sybil", "5528", "5528.", "It is Sybil.", "grey heron", "Orrin"])
def test_so_is_a_name_a_number_or_two_words_of_the_haystack(judge, text):
    error, found = judge(text)
    assert error == "wrong extraction"
    assert found["stands_in_haystack"]
    assert not found["says_distractor"]
    assert judge(text, whole_answers=False)[0] == (
        "wrong extraction" if found["copied_length"] >= 4 else "hallucination"
    )


@pytest.mark.parametrize(
    "text", ["red", "a painter", "every", "8", "2255", "Anna", "heron grey", "Maudlin"]
)
def test_one_ordinary_word_or_what_is_not_there_in_a_row_proves_nothing(judge, text):
    error, found = judge(text, min_copied_tokens=99)  # this tokenizer spells most words
    assert error == "hallucination"
    assert not found["stands_in_haystack"]


def test_the_needles_own_words_come_first(judge):
    assert judge("Dorrin")[0] == "incomplete"
    assert judge("Dorrin or Maud")[0] == "incomplete"


def test_a_longer_copy_names_the_distractor_it_began_in(judge):
    error, found = judge("The number of stones in the ford")
    assert error == "wrong extraction"
    assert (found["distractor"], found["says_distractor"]) == ("4417", False)
    assert judge("The number of the boat is 5528.")[1]["distractor"] is None


def test_names_are_capital_inside_sentences_and_nowhere_small():
    assert names_of(PROSE) == {"sybil", "orrin"}
    assert names_of("It was Red and red. Zora came.") == frozenset()


def test_words_of_one_character_count_half():
    haystack = tuple("灯亮起来雨停了")
    assert stands_in_full("亮起来雨", haystack, frozenset())
    assert not stands_in_full("灯亮", haystack, frozenset())


def test_the_longest_answer_is_named():
    assert said_answer("It is the old mill.", ["mill", "old mill", "new mill"]) == "old mill"
    assert said_answer("It is not", ["it", "the"]) == "it"
    assert said_answer("", ["mill"]) is None
