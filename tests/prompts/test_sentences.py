import numpy as np
import pytest

from rh_lens.prompts.sentences import boundary_tokens, sentence_gaps


def starts(text: str, *document_ends: int) -> list[str]:
    return [text[start:] for _, start in sentence_gaps(text, document_ends)]


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("It rained. We left.", "We left."),
        ("Did it rain?\nWe left.", "We left."),
        ('"Go!" She left.', "She left."),
        ("Wait... She left.", "She left."),
        ("It rained (a lot.) We left.", "We left."),
        ("下雨了。我们走了。", "我们走了。"),
        ("「下雨了？」我们走了。", "我们走了。"),
        ("वर्षा हुई। हम गए", "हम गए"),
        ("هل جاء؟ نعم", "نعم"),
        ("A heading\n\nThe text", "The text"),
    ],
)
def test_a_sentence_starts_after_a_mark_and_space(text: str, second: str):
    assert starts(text) == [second]


@pytest.mark.parametrize(
    "text",
    [
        "Mr. Hall left",
        "J. S. Bach left",
        "Bring fruit, e.g. Apples",
        "It is 3.50 now",
        "Hm... so",
        "a. b",
    ],
)
def test_full_stops_inside_a_sentence_end_nothing(text: str):
    assert starts(text) == []


def test_documents_end_without_a_mark():
    assert starts("First line\nSecond line") == []
    assert starts("First line\nSecond line", 10, 22) == ["Second line"]
    assert starts("lower case\n\nall along") == ["all along"]


def test_a_gap_is_half_open_from_the_mark_to_the_next_letter():
    assert sentence_gaps("Rain.  Sun.\nMoon。星").tolist() == [[5, 7], [11, 12], [17, 17]]


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ([(0, 4), (4, 5), (5, 9)], [2]),  # the space joins the next word
        ([(0, 4), (4, 5), (6, 9)], [2]),  # the space is in no token
        ([(0, 4), (4, 6), (6, 9)], [2]),  # the space joins the full stop
        ([(0, 4), (4, 5), (5, 6), (6, 9)], [2]),  # the space is a token: the first place counts
        ([(0, 4), (4, 9)], []),  # a token reaches across
        ([(0, 4), (4, 5), (5, 7), (5, 7), (7, 9)], [2]),  # one character in two tokens
    ],
)
def test_every_treatment_of_the_space_gives_the_same_boundary(
    offsets: list[tuple[int, int]], expected: list[int]
):
    gaps = sentence_gaps("Rain. Sun")
    columns = np.array(offsets).T
    assert boundary_tokens(gaps, *columns).tolist() == expected


def test_no_gap_or_no_token_gives_no_boundary():
    nothing = np.zeros(0, dtype=np.int64)
    assert boundary_tokens(sentence_gaps("Rain"), nothing, nothing).tolist() == []
