import random
import re

import pytest

from rh_lens.demo.training.corpus import ANSWERS, FORMS, SUBJECTS, FactWriter
from rh_lens.demo.training.held_out import N_DISTRACTORS, distractor_haystack, held_out_needles
from rh_lens.prompts.synthetic import GRAMMAR, plural, write_prose
from rh_lens.prompts.words import (
    ADJECTIVES,
    ATTRIBUTES,
    NOUNS,
    TRADES,
    VERBS,
    invented_name,
    number,
    select,
    split_of,
)

LISTS = {
    "adjectives": ADJECTIVES,
    "nouns": NOUNS,
    "verbs": VERBS,
    "trades": TRADES,
    "attributes": ATTRIBUTES,
}
HELD_OUT = {word for words in LISTS.values() for word in select(words, "held-out")}


def words_of(text):
    return set(re.findall(r"[A-Za-z]+|\d+", text))


def test_the_same_seed_writes_the_same_text():
    assert write_prose(3, 50) == write_prose(3, 50)
    assert write_prose(3, 50) != write_prose(4, 50)
    assert held_out_needles(5, seed=1) == held_out_needles(5, seed=1)


def test_the_text_is_known_to_the_letter():
    """The synthetic haystack is the same on every machine and Python version."""
    assert write_prose(0, 1)[0] == ("In Nutor, a red trumpet stood beside 78 palaces.")


def test_prose_seldom_repeats_a_sentence():
    sentences = [sentence for text in write_prose(0, 2000) for sentence in text.split(". ")]
    assert len(set(sentences)) / len(sentences) > 0.99


@pytest.mark.parametrize("kind", LISTS)
def test_one_word_in_eight_or_so_is_held_out(kind):
    words = LISTS[kind]
    assert len(set(words)) == len(words)
    assert 0.05 < len(select(words, "held-out")) / len(words) < 0.25
    assert sorted(select(words, "held-out") + select(words, "train")) == sorted(words)


def test_training_text_has_no_held_out_word_name_or_number():
    rng, facts = random.Random(0), FactWriter("train")
    text = " ".join(write_prose(1, 3000))
    text += " ".join(f"{fact.text} {fact.question}" for fact in facts.facts(rng, 1500))
    singular = {word for word in words_of(text) if word.islower()}
    assert singular & HELD_OUT == set()
    assert singular & {plural(word) for word in select(NOUNS, "held-out")} == set()
    assert {split_of(word) for word in words_of(text) if word.isdigit()} == {"train"}


def test_fixed_words_of_the_grammar_are_not_held_out():
    fixed = [*SUBJECTS, *ANSWERS, *(text for form in FORMS for text in form)]
    fixed += [text for texts in GRAMMAR.values() for text in texts]
    assert words_of(" ".join(fixed).lower()) & HELD_OUT == set()


@pytest.mark.parametrize("split", ["train", "held-out"])
def test_invented_names_and_numbers_belong_to_their_split(split):
    rng = random.Random(2)
    drawn = [invented_name(rng, split) for _ in range(200)]
    drawn += [number(rng, split) for _ in range(200)]
    assert {split_of(word) for word in drawn} == {split}


def test_an_answer_ends_its_sentence():
    for fact in FactWriter("held-out").facts(random.Random(5), 100):
        assert fact.text.endswith(f"{fact.answer}.")


def test_facts_have_distinct_questions():
    facts = FactWriter("train").facts(random.Random(6), 60, related=0.9)
    assert len({fact.question for fact in facts}) == 60


@pytest.mark.parametrize("context_length", [512, 1024, 2048])
def test_a_haystack_holds_about_four_other_facts_of_the_needles_form(context_length):
    needles = held_out_needles(3, seed=9)
    haystack = distractor_haystack(needles, seed=9, context_length=context_length)
    forms = [re.compile(form.format(s=".+", a=".+", v=".+"), re.IGNORECASE) for form, _ in FORMS]
    sentences = re.split(r"(?<=[.?!])\s", haystack.text)
    is_fact = [any(form.fullmatch(sentence) for form in forms) for sentence in sentences]
    # A sentence has 28 tokens or so.
    n_facts = sum(is_fact) / len(sentences) * context_length / 28
    assert N_DISTRACTORS <= n_facts <= N_DISTRACTORS + 3
    assert all(needle.text not in haystack.text for needle in needles)


def test_prose_of_no_sentence_is_refused():
    with pytest.raises(ValueError, match="n_sentences must be at least 1, got 0"):
        write_prose(0, 0)


@pytest.mark.parametrize(
    ("noun", "expected"),
    [("otter", "otters"), ("bench", "benches"), ("city", "cities"), ("key", "keys")],
)
def test_plurals(noun, expected):
    assert plural(noun) == expected
