import pytest
from planted import PlantedModel, make_prompt

from rh_lens.detection import detect_official
from rh_lens.prompts import Needle
from rh_lens.views import summarise

NEWLINE = 144


@pytest.fixture
def result(llama, otter_prompt):
    """Two answers copied whole by L0H1; the second is not found by its tokens."""
    start = otter_prompt.answer_span[0]
    capitals = Needle(question="What is it?", text="It is A violet Otter.", answer="A violet Otter")
    missed = make_prompt(otter_prompt.tokens.tolist(), otter_prompt.answer_span, capitals)
    looks = {(0, 1): [start + t for t in range(7)]}
    answer = [*otter_prompt.answer_tokens.tolist(), NEWLINE]
    planted = PlantedModel(llama, [150] * 2, [answer] * 2, [looks] * 2)
    with llama.hooks(fwd_hooks=planted.fwd_hooks()):
        return detect_official(llama, [otter_prompt, missed], progress=False)


def test_the_text_says_how_many_answers_were_missed_and_what_that_costs(result):
    text = summarise(result, k=3)
    assert text.startswith("2 prompts: 2 accepted, 0 rejected")
    assert "Top heads by official score" in text
    assert "not found by their tokens: 1 of 2 accepted" in text
    assert "Answers found: 1, of which 0 with a span that begins early" in text
    assert "Highest score on one trial: 1.000" in text
    assert "L0H1 scores 0.500 here and 1.000 by the position score" in text
