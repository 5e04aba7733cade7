import re

from rh_lens.prompts.pydoc_prose import pydoc_topics


def test_there_is_much_of_it_and_no_paragraph_comes_twice():
    paragraphs = "\n".join(pydoc_topics()).split("\n")
    assert sum(map(len, paragraphs)) > 150_000
    assert len(set(paragraphs)) == len(paragraphs)


def test_every_paragraph_is_whole_sentences_on_one_line():
    for paragraph in "\n".join(pydoc_topics()).split("\n"):
        assert re.match(r"[\"“(]?[A-Z]", paragraph), paragraph
        assert re.search(r"[.!?][\"”)]*$", paragraph), paragraph
        assert len(paragraph.split()) >= 8, paragraph
        assert "  " not in paragraph, paragraph


def test_headings_grammar_sessions_tables_and_notes_are_gone():
    text = "\n".join(pydoc_topics())
    for sign in ("::=", ">>>", "+--", "***", "===", "\nSee also", "\nChanged in", "[1]"):
        assert sign not in text, sign
