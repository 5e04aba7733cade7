import pytest

from rh_lens.detection import acceptance, token_recall
from rh_lens.prompts import Needle

OTTER = Needle("What animal?", "The animal is a crimson otter of the north.", "crimson otter")
SEOUL = Needle("어디?", "회의는 조용한 북쪽 항구에서 열린다.", "조용한 북쪽 항구")


def judge(text, needle=OTTER, **options):
    return acceptance(text, [], needle, None, **options)


def test_the_whole_answer_is_accepted():
    verdict = judge(" It is a crimson otter.")
    assert verdict.accepted
    assert verdict.reason == "accepted"
    assert (verdict.recall, verdict.recall_measure) == (1.0, "rouge1")


def test_words_are_stemmed():
    assert judge("CRIMSON otters").recall == 1.0


def test_half_the_words_are_not_above_one_half():
    verdict = judge("a grey otter")
    assert verdict.recall == 0.5
    assert not verdict.accepted
    assert verdict.reason == (
        "ROUGE-1 recall 0.50 of 'crimson otter' is not above 0.5; the model answered 'a grey otter'"
    )
    assert judge("a grey otter", threshold=0.49).accepted


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_answer_says_so(text):
    assert judge(text).reason == "empty answer"


def test_other_scripts_are_judged_by_token_ids(tiny_tokenizer):
    tokens = tiny_tokenizer.encode(SEOUL.answer, add_special_tokens=False)
    verdict = acceptance(SEOUL.answer, tokens, SEOUL, tiny_tokenizer)
    assert (verdict.accepted, verdict.recall, verdict.recall_measure) == (True, 1.0, "token-ids")


def test_token_ids_as_they_stand_in_the_prompt_are_preferred():
    verdict = acceptance("조용", [4, 9, 9], SEOUL, None, answer_tokens=[4, 5, 9])
    assert verdict.recall == pytest.approx(2 / 3)
    assert verdict.accepted
    rejected = acceptance("조용", [4, 4, 4], SEOUL, None, answer_tokens=[4, 5, 9])
    assert rejected.reason.startswith("token-id recall 0.33 of '조용한 북쪽 항구' is not above 0.5")


def test_token_recall_counts_repeats():
    assert token_recall([7, 7, 8], [7, 7, 7, 8]) == 0.75
