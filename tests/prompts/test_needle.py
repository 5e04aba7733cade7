import json
import re
from pathlib import Path

import pytest

from rh_lens.prompts import Distractor, Needle, default_needles, evaluation_needles, load_needles


def write(folder: Path, *lines: str) -> Path:
    path = folder / "needles.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_answer_characters_cut_the_answer_out_of_the_text(needle: Needle):
    start, stop = needle.answer_characters
    assert (start, stop) == (33, 49)
    assert needle.text[start:stop] == needle.answer


def test_the_last_occurrence_is_the_answer():
    needle = Needle("How many spoons are in box 4?", "Box 4 holds 4 spoons.", "4")
    assert needle.answer_characters == (12, 13)


def test_name_depends_on_every_field_and_on_nothing_else(needle: Needle):
    same = Needle(needle.question, needle.text, needle.answer)
    others = [
        Needle("Which password?", needle.text, needle.answer),
        Needle(needle.question, needle.text + " Yes.", needle.answer),
        Needle(needle.question, needle.text, "teal walrus"),
    ]
    assert needle.name == same.name
    assert len({needle.name, *(other.name for other in others)}) == 4
    assert len(needle.name) == 8


def test_answer_outside_the_text_is_refused():
    with pytest.raises(ValueError, match=r"answer inside the needle's text; found answer 'Teal'"):
        Needle("Which colour?", "The door is teal.", "Teal")


@pytest.mark.parametrize("field", ["question", "text", "answer"])
def test_empty_and_padded_fields_are_refused(field: str):
    fields = {"question": "Which colour?", "text": "The door is teal.", "answer": "teal"}
    with pytest.raises(ValueError, match=f"Expected a needle with a non-empty {field}; found ' '"):
        Needle(**(fields | {field: " "}))
    with pytest.raises(ValueError, match=f"whitespace at the ends of a needle's {field}"):
        Needle(**(fields | {field: fields[field] + "\n"}))


def test_both_shapes_of_line_load_to_the_same_needle(tmp_path: Path, needle: Needle):
    ours = {"question": needle.question, "text": needle.text, "answer": needle.answer, "id": 3}
    published = {
        "needle": f"\n{needle.text}\n",
        "question": f"{needle.question} ",
        "real_needle": needle.answer,
    }
    path = write(tmp_path, json.dumps(ours), "", json.dumps(published))
    assert load_needles(path) == (needle, needle)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("{'question': 1}", r'found "\{\'question\'.* column 2'),
        ("[1, 2]", "under the keys question, text, answer .* found list"),
        ('{"question": "Why?"}', r"under the keys .* found \{'question': 'str'\}"),
        ('{"question": "Why?", "text": "So.", "answer": 4}', "under the keys .*'answer': 'int'"),
        ('{"question": "Why?", "text": "So.", "answer": "no"}', "Expected the answer inside"),
        ('{"question": "Why?", "text": "So.", "answer": []}', "under the keys .*'answer': 'list'"),
        (
            '{"question": "Why?", "needle": "So, so.", "real_needle": "SO"}',
            r"Expected the answer in one place .* 'SO', but for case, in 2: \['So', 'so'\]",
        ),
        (
            '{"question": "Why?", "text": "So.", "answer": "So", "distractors": ["No."]}',
            "under the keys .* objects of text and answer",
        ),
    ],
)
def test_malformed_lines_are_named(tmp_path: Path, line: str, found: str):
    good = '{"question": "Why?", "text": "So it is.", "answer": "So"}'
    with pytest.raises(ValueError, match=rf"(?s)needles\.jsonl', line 2.*{found}"):
        load_needles(write(tmp_path, good, line))


def one(folder: Path, **entry: object) -> Needle:
    (needle,) = load_needles(write(folder, json.dumps(entry)))
    return needle


def test_an_answer_in_other_capitals_has_the_texts_own_letters(tmp_path: Path):
    """As in published files: "Because" where the sentence goes on in lower case."""
    text = "\nHe left because the tide was low, Because of it all.\n"
    found = one(tmp_path, question="Why?", needle=text, real_needle="Because the tide was low")
    assert found.answer == "because the tide was low"
    assert found.text[slice(*found.answer_characters)] == found.answer
    # A place that fits letter for letter is taken before all others.
    exact = one(tmp_path, question="Why?", needle=text, real_needle="Because")
    assert exact.answer_characters[0] == text.strip().index("Because")


def test_places_that_overlap_are_two(tmp_path: Path):
    with pytest.raises(ValueError, match=r"line 1; .* in 2: \['na na', 'na na'\]"):
        one(tmp_path, question="What?", text="It is na na na.", answer="NA NA")


def test_questions_needles_and_answers(tmp_path: Path, needle: Needle):
    keys = {"question": needle.question, "needle": needle.text, "answer": needle.answer}
    assert one(tmp_path, **keys) == needle
    both = {"question": needle.question, "text": needle.text, "answer": needle.answer}
    assert one(tmp_path, **both, needle="harbour") == needle


def test_the_first_of_several_answers_that_stands_in_the_text_is_copied(tmp_path: Path):
    keys = {"question": "When?", "text": "It opens on 3 February."}
    found = one(tmp_path, **keys, answer=["Feb 3", "3 February", "3rd of February "])
    assert found.answer == "3 February"
    assert found.alternatives == ("Feb 3", "3rd of February")
    assert found.answers == ("3 February", "Feb 3", "3rd of February")
    assert found.name != Needle(**keys, answer="3 February").name
    other = one(tmp_path, **keys, answer=["Feb 3", "3 FEBRUARY"])
    assert (other.answer, other.alternatives) == ("3 February", ("Feb 3",))


def test_distractors_are_read(tmp_path: Path, needle: Needle):
    keys = {"question": needle.question, "text": needle.text, "answer": needle.answer}
    fact = {"text": "The pilot's password is Maud. ", "answer": "Maud"}
    found = one(tmp_path, **keys, distractors=[fact])
    assert found.distractors == (Distractor("The pilot's password is Maud.", "Maud"),)
    assert found != needle
    with pytest.raises(ValueError, match=r"line 1; .* Expected the answer inside the distractor"):
        one(tmp_path, **keys, distractors=[fact | {"answer": "Anna"}])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_other_encodings_name_the_file_and_how_to_convert_it(tmp_path: Path, encoding: str):
    path = tmp_path / "needles.jsonl"
    line = '{"question": "Où?", "text": "À côté.", "answer": "côté"}'
    path.write_bytes(line.encode(encoding))
    name = "LATIN1" if encoding == "latin-1" else "UTF-16"
    with pytest.raises(ValueError, match=rf"UTF-8; found .*needles\.jsonl.* iconv -f {name}"):
        load_needles(path)


def test_blank_and_missing_files_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"at least one needle in .*needles\.jsonl"):
        load_needles(write(tmp_path, "", "  "))
    with pytest.raises(FileNotFoundError, match=r"found no file at .*none\.jsonl"):
        load_needles(tmp_path / "none.jsonl")


def test_default_needles_are_ten_or_more_and_all_different():
    needles = default_needles()
    assert len(needles) >= 10
    assert len({needle.question for needle in needles}) == len(needles)
    assert len({needle.answer for needle in needles}) == len(needles)


def content_words(needle: Needle) -> set[str]:
    words = set(re.findall(r"[a-z0-9]+", needle.answer.lower()))
    return words - set("a an and at by in is it of on that the to two three with".split())


def test_evaluation_needles_are_twelve_about_other_things():
    """No question, and no word of an answer, is shared with the needles of detection."""
    needles, detection = evaluation_needles(), default_needles()
    assert len(needles) == 12
    assert len({needle.question for needle in (*needles, *detection)}) == 24
    words = [content_words(needle) for needle in (*needles, *detection)]
    assert all(words)
    assert sum(map(len, words)) == len(set().union(*words))


def test_distractors_of_evaluation_needles_have_a_form_and_an_answer_of_their_own():
    """Two each, of the needle's form: about something else, and no answer is a needle's."""
    right = {word for needle in evaluation_needles() for word in content_words(needle)}
    facts = [fact for needle in evaluation_needles() for fact in needle.distractors]
    assert [len(needle.distractors) for needle in evaluation_needles()] == [2] * 12
    assert len({fact.answer for fact in facts}) == 24
    for fact in facts:
        assert fact.text.endswith(f" {fact.answer}.")
        assert not set(re.findall(r"[a-z0-9]+", fact.answer.lower())) & right


def test_evaluation_needles_tell_what_they_are_about_and_then_the_answer():
    for needle in evaluation_needles():
        assert needle.text.endswith(f" {needle.answer}.")
        assert not content_words(needle) & set(needle.question.lower().rstrip("?").split())
