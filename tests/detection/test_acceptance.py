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
        "ROUGE-1 recall 0.50 of 'crimson otter' is not above 0.5 (lacks crimson); "
        "the model answered 'a grey otter'"
    )
    assert judge("a grey otter", threshold=0.49).accepted


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_answer_says_so(text):
    assert judge(text).reason == "empty answer"


@pytest.mark.parametrize(
    ("text", "stop_reason", "ending"),
    [
        ("otter", "eos", "'otter'"),
        ("otter", "newline", "'otter', stopped at a line break"),
        ("otter", "string", "'otter', stopped at a stop string"),
        ("otter", "length", "'otter', stopped after 3 tokens, the most allowed"),
        (" ", "length", "empty answer"),
    ],
)
def test_a_rejection_tells_how_the_answer_ended(text, stop_reason, ending):
    verdict = acceptance(text, [4, 5, 6], OTTER, None, stop_reason=stop_reason)
    assert verdict.reason.endswith(ending)


def test_missing_words_are_named_as_they_stand_and_as_often():
    twice = Needle(
        "What?", "It is polishing red and red thimbles.", "polishing red and red thimbles"
    )
    assert "(lacks polishing, red, thimbles)" in judge("a red hat and", twice).reason


def test_the_best_of_several_right_answers_counts():
    needle = Needle("When?", "It opens on 3 February.", "3 February", ("Feb 3", "in early spring"))
    assert judge("in spring", needle).answer == "in early spring"
    assert judge("in spring", needle).recall == pytest.approx(2 / 3)
    assert judge("February", needle).accepted is False
    assert judge("Feb 3", needle).accepted
    none = judge("in May", needle)
    assert none.reason.startswith("ROUGE-1 recall 0.33 of 'in early spring'")


def test_an_alternative_in_another_script_is_judged_by_its_own_measure(tiny_tokenizer):
    needle = Needle("Where?", "It is in Seoul.", "Seoul", ("서울",))
    tokens = tiny_tokenizer.encode("서울", add_special_tokens=False)
    verdict = acceptance("서울", tokens, needle, tiny_tokenizer, answer_tokens=[4])
    assert (verdict.accepted, verdict.recall_measure, verdict.answer) == (True, "token-ids", "서울")


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
