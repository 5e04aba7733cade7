"""What the second bundled model is asked: exercises, and the documents that they make."""

import random
import re
from functools import partial

import pytest
from transformers import AutoTokenizer

from rh_lens.demo import DEMO_MODEL_FOLDER
from rh_lens.demo.training.corpus import FactWriter
from rh_lens.demo.training.curriculum import Stage
from rh_lens.demo.training.exercises import UNSTATED, ExerciseWriter
from rh_lens.demo.training.lessons import LessonWriter
from rh_lens.demo.training.sums import sum_steps
from rh_lens.demo.training.wording import SYNONYMS, second_language
from rh_lens.demo.training.world import ISLAND_ATTRIBUTES, other_values, world_facts
from rh_lens.evaluation.tasks import CHAIN, CHOICES, CHOICES_CHAIN, LETTERS, READING
from rh_lens.prompts.words import ATTRIBUTES, select, split_of

N = 60
STAGE = Stage(192, 2, 0.001, max_facts=4, repeated=0.1, drop_heads=0.0, alone=0.5)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(DEMO_MODEL_FOLDER)


@pytest.fixture(params=["train", "held-out"])
def writer(request):
    return ExerciseWriter(request.param)


def drawn(make, n=N):
    rng = random.Random(0)
    return [make(rng) for _ in range(n)]


@pytest.mark.parametrize("kind", ["fact", "inside", "synonym", "foreign"])
def test_the_first_statement_holds_the_answer_and_no_other_does(writer, kind):
    for exercise in drawn(getattr(writer, kind)):
        right, *others = exercise.statements
        (answer,) = exercise.item.answers
        assert answer in right
        assert not any(f" {answer}." in other for other in others)
        assert exercise.template is READING
        assert exercise.said == f" {answer}."


def test_an_answer_inside_its_sentence_does_not_end_it(writer):
    for exercise in drawn(writer.inside):
        assert not exercise.statements[0].endswith(f"{exercise.item.answers[0]}.")


def test_a_synonym_is_another_word_than_the_statement_has(writer):
    words = SYNONYMS | {other: word for word, other in SYNONYMS.items()}
    for exercise in drawn(writer.synonym):
        asked = re.match(r"What is the (\w+) of", exercise.item.question)[1]
        assert f"The {words[asked]} of" in exercise.statements[0]
        assert f"The {asked} of" not in " ".join(exercise.statements)
    assert not set(SYNONYMS.values()) & set(ATTRIBUTES)


def test_the_second_language_has_a_word_of_its_own_for_every_attribute():
    words = second_language().words
    assert list(words) == ATTRIBUTES
    assert len(set(words.values())) == len(ATTRIBUTES)
    assert second_language().words == words


def test_most_questions_across_languages_are_asked_in_the_other_one(writer):
    found = drawn(writer.foreign, 200)
    across = [
        one.item.question.startswith("Kir") != one.statements[0].startswith("Ta ") for one in found
    ]
    assert 0.75 < sum(across) / len(found) < 0.95


def test_what_is_not_stated_is_in_no_statement(writer):
    for exercise in drawn(writer.unstated):
        assert exercise.item.answers == (UNSTATED,)
        assert len(exercise.statements) == 1


def test_two_hops_lead_through_a_person_whom_the_question_does_not_name(writer):
    for exercise in drawn(partial(writer.hops, chain=True)):
        first, second, *more = exercise.statements
        middle = first.removesuffix(".").split(" is ")[1]
        (place,) = exercise.item.answers
        assert second.startswith(middle)
        assert second.endswith(f"{place}.")
        assert middle not in exercise.item.question
        assert len(more) in (2, 3)
        assert exercise.said == f" {first} {second} The answer is {place}."


def test_sums_are_right_step_by_step(writer):
    assert sum_steps(43, "+", 16) == ("43 + 10 = 53. 3 + 6 = 9. 53 + 6 = 59.", 59)
    assert sum_steps(43, "-", 10) == ("43 - 10 = 33.", 33)
    assert sum_steps(66, "-", 8) == ("16 - 8 = 8. 66 - 8 = 58.", 58)
    assert sum_steps(28, "-", 19) == ("28 - 10 = 18. 18 - 9 = 9.", 9)
    for exercise in drawn(partial(writer.total, chain=True)):
        first, sign, second = re.match(
            r"\w+ has (\d+) .* (gives away|finds) (\d+) of", exercise.item.question
        ).groups()
        sign = "+" if sign == "finds" else "-"
        result = eval(first + sign + second)
        assert exercise.item.answers == (str(result),)
        assert 0 < result < 99
        assert exercise.template is CHAIN
        for step in re.findall(r"(\d+ [+-] \d+) = (\d+)\.", exercise.item.chain):
            assert eval(step[0]) == int(step[1])
        assert split_of(f"{first}{sign}{second}") == writer.facts.split


@pytest.mark.parametrize("chain", [False, True])
def test_parts_of_sums_are_those_of_the_chains(writer, chain):
    for exercise in drawn(partial(writer.step, chain=chain), 200):
        first, sign, part = re.match(r"What is (\d+) (.) (\d+)\?", exercise.item.question).groups()
        assert exercise.item.answers == (str(eval(first + sign + part)),)
        assert 0 < int(part) < 20
        if not chain:
            assert int(part) < 10
            assert f"{first} {sign} {part} = " in sum_steps(int(first) + 20, sign, int(part))[0]
        for step in re.findall(r"(\d+ [+-] \d+) = (\d+)\.", exercise.item.chain):
            assert eval(step[0]) == int(step[1])


@pytest.mark.parametrize("chain", [False, True])
def test_a_drill_asks_for_the_letter_of_a_word_that_it_names(writer, chain):
    for exercise in drawn(partial(writer.letter, chain=chain), 100):
        named = re.fullmatch(r"Which one is (.*)\?", exercise.item.question)[1]
        (letter,) = exercise.item.answers
        assert exercise.item.choices[LETTERS.index(letter)] == named
        assert len(exercise.item.choices) == 4
        way = f" It is {named}. The answer is ({letter})."
        assert exercise.said == (way if chain else f" {letter}")


def test_the_world_is_always_the_same(writer):
    facts = world_facts()
    assert facts == world_facts()
    assert len(facts) == 40 * len(ISLAND_ATTRIBUTES) == 240
    assert len({(fact.island, fact.attribute) for fact in facts}) == 240
    assert len({fact.value for fact in facts if fact.attribute == "capital"}) == 40
    assert facts[0].value not in other_values(facts[0], facts)
    known = {fact.question(form): fact.value for fact in facts for form in range(3)}
    for exercise in drawn(writer.known):
        assert exercise.item.answers == (known[exercise.item.question],)
        assert not exercise.statements


@pytest.mark.parametrize("kind", ["chosen", "known_chosen"])
@pytest.mark.parametrize("chain", [False, True])
def test_the_letter_is_that_of_the_right_choice(writer, kind, chain):
    letters = []
    for exercise in drawn(partial(getattr(writer, kind), chain=chain), 200):
        (letter,) = exercise.item.answers
        choice = exercise.item.choices[LETTERS.index(letter)]
        if kind == "chosen":
            assert choice in exercise.statements[0]
        else:
            assert exercise.template is (CHOICES_CHAIN if chain else CHOICES)
        assert len(exercise.item.choices) == 4
        assert choice in exercise.item.chain
        way = f" {exercise.item.chain} The answer is ({letter})."
        assert exercise.said == (way if chain else f" {letter}")
        letters.append(letter)
    assert all(30 < letters.count(letter) < 70 for letter in "ABCD")


@pytest.mark.parametrize("length", [128, 300])
def test_documents_have_exactly_the_length_asked_for(tokenizer, length):
    writer = LessonWriter(tokenizer, random.Random(0), n_filler_sentences=50)
    for _ in range(30):
        for document in (writer.about_text(length, 4), writer.alone(length)):
            assert len(document.tokens) == len(document.answers) == length


def test_marked_answers_follow_their_questions_and_end(tokenizer):
    writer = LessonWriter(tokenizer, random.Random(1), n_filler_sentences=50)
    n_answers = 0
    for _ in range(30):
        document = writer.about_text(256, 3)
        text = tokenizer.decode(document.tokens)
        n_answers += text.count("\nAnswer:")
        assert text.count("\nAnswer:") == text.count("</s>") > 0
        ends = document.tokens == tokenizer.eos_token_id
        assert (ends <= document.answers).all()
    assert n_answers > 40


def test_a_prompt_is_spelled_as_the_tokenizer_spells_it(tokenizer):
    """Documents are joined from pieces; the pieces are those of the whole prompt."""
    writer = LessonWriter(tokenizer, random.Random(2), n_filler_sentences=10)
    for _ in range(100):
        document = writer.alone(160)
        if " " in (text := tokenizer.decode(document.tokens)):
            whole, *_ = text.split("</s>")
            ids = tokenizer(whole.removeprefix("<s>")).input_ids
            if ids == document.tokens[: len(ids)].tolist():
                return
    raise AssertionError("no document without cut words is spelled as a prompt is")


def test_the_same_seed_writes_the_same_documents(tokenizer):
    def batch():
        return LessonWriter(tokenizer, random.Random(3), n_filler_sentences=20).batch(STAGE)

    for one, other in zip(batch(), batch(), strict=True):
        assert one.tokens.tolist() == other.tokens.tolist()


@pytest.mark.parametrize(("alone", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_a_stage_says_how_many_documents_are_exercises_alone(tokenizer, alone, expected):
    writer = LessonWriter(tokenizer, random.Random(4), n_filler_sentences=20)
    stage = Stage(192, 12, 0.001, max_facts=4, repeated=0.0, drop_heads=0.0, alone=alone)
    texts = [tokenizer.decode(document.tokens) for document in writer.batch(stage)]
    # Every exercise without a text begins a document of its own.
    assert sum(text.count("<s>") > 1 for text in texts) / 12 == expected


def test_a_stage_says_how_many_documents_hold_plain_facts_only(tokenizer):
    def batch(**kwargs):
        writer = LessonWriter(tokenizer, random.Random(5), n_filler_sentences=50)
        stage = Stage(256, 40, 0.001, max_facts=4, repeated=0.0, drop_heads=0.0, **kwargs)
        return [tokenizer.decode(document.tokens) for document in writer.batch(stage)]

    # Of all kinds of exercises, only others than facts ask for two at once or offer letters.
    others = re.compile(r"What are the|\nA\. | lives in ")
    assert not any(others.search(text) for text in batch(plain=1.0))
    assert sum(bool(others.search(text)) for text in batch()) >= 15


def test_texts_may_ask_mostly_for_what_is_weakest(tokenizer):
    writer = LessonWriter(tokenizer, random.Random(6), n_filler_sentences=50)
    shares = {}
    for weak in (False, True):
        texts = [writer.about_text(384, 6, weak=weak).tokens for _ in range(150)]
        asked = "".join(map(tokenizer.decode, texts))
        shares[weak] = asked.count("Question: What are the") / asked.count("Question:")
    # 0.13 and 0.20 of some 400 exercises.
    assert shares[False] == pytest.approx(0.13, abs=0.05)
    assert shares[True] == pytest.approx(0.20, abs=0.05)


def test_words_of_their_own_are_few_and_none_is_held_out():
    usual = FactWriter("train")
    own = usual.of_blended_words(random.Random(7))
    words = {word for kind in own.prose.words.values() for word in kind} | set(own.attributes)
    held_out = {word for kind in FactWriter("held-out").prose.words.values() for word in kind}
    assert not words & (held_out | set(select(ATTRIBUTES, "held-out")))
    assert all(split_of(word) == "train" for word in words)
    sizes = {kind: len(usual.prose.words[kind]) // 7 for kind in usual.prose.words}
    assert {kind: len(found) for kind, found in own.prose.words.items()} == sizes
    # Each begins as one word and ends as another, so that hardly any is a usual word.
    known = {word for kind in usual.prose.words.values() for word in kind}
    assert len(words & known) <= 3


def test_a_stage_says_how_many_documents_have_words_of_their_own(tokenizer):
    usual = FactWriter("train").prose.words

    def share(blended):
        writer = LessonWriter(tokenizer, random.Random(8), n_filler_sentences=500)
        stage = Stage(192, 30, 0.001, max_facts=3, repeated=0.0, drop_heads=0.0, blended=blended)
        texts = [tokenizer.decode(document.tokens) for document in writer.batch(stage)]
        found = (re.findall(r"\bthe (\w+) of", text) for text in texts)
        known = {*usual["noun"], *usual["trade"]}
        return sum(any(word in known for word in words) for words in found) / 30

    assert share(0.0) >= 0.6
    assert share(1.0) <= 0.15


def test_a_second_language_is_asked_in_words_that_were_taught():
    """Its word for an attribute can't be told from a text, as synonyms can't."""
    taught = set(select(ATTRIBUTES, "train"))
    language = second_language()
    for exercise in drawn(ExerciseWriter("held-out").foreign):
        said = " ".join([*exercise.statements, exercise.item.question])
        assert not any(language.words[one] in said.split() for one in set(ATTRIBUTES) - taught)
        assert any(word in said.split() for word in map(language.words.get, taught))
