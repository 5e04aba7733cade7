"""The published code's way of scoring, against planted attention and plain loops."""

import math

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import PlantedModel, make_prompt
from tolerances import double_rounding
from transformers import PreTrainedTokenizerBase

from rh_lens.demo import load_demo_model
from rh_lens.demo.training.held_out import held_out_prompts
from rh_lens.detection import (
    MemoryLog,
    NoAcceptedTrialsError,
    detect_official,
    detect_retrieval_heads,
    official_result,
    official_score,
    official_span,
)
from rh_lens.detection.official import official_stop
from rh_lens.heads import Head
from rh_lens.prompts import Needle
from rh_lens.runs import RunFolder, load_run

NEWLINE = 144  # the id that ends an answer in the published code, whatever token it is


class Encoding(PreTrainedTokenizerBase):
    """A tokenizer that encodes every text as given tokens."""

    def __init__(self, tokens):
        self.tokens = tokens

    def __call__(self, text, *, add_special_tokens):
        assert not add_special_tokens
        return {"input_ids": self.tokens}


def span(prompt, alone):
    return official_span(torch.tensor(prompt), "an answer", Encoding(alone))


def first_window(prompt, alone):
    """The rule as plain loops."""
    for start in range(len(prompt)):
        window = []
        for position in range(start, start + len(alone)):
            if position < len(prompt):
                window.append(prompt[position])
        n_present = 0
        for token in set(alone):
            if token in window:
                n_present += 1
        if n_present / len(set(alone)) > 0.9:
            return start, start + len(alone)
    return None


def test_distinct_tokens_are_found_where_they_stand():
    assert span([9, 9, 5, 6, 7, 9], [5, 6, 7]) == (2, 5)


def test_tokens_that_repeat_let_the_span_begin_early():
    assert span([9, 9, 9, 5, 6, 7, 5, 9], [5, 6, 7, 5]) == (2, 6)  # one early
    assert span([9, 9, 9, 5, 6, 5, 6, 9], [5, 6, 5, 6]) == (1, 5)  # two early


def test_a_changed_first_token_is_forgiven_in_long_answers_only():
    ten, eleven = list(range(10, 20)), list(range(10, 21))
    assert span([9, 99, *ten[1:], 9], ten) is None
    # Ten of eleven tokens are above 0.9; the first window that holds them begins one early.
    assert span([9, 99, *eleven[1:], 9], eleven) == (1, 12)
    assert span([9, *eleven[:-1], 9], eleven) == (0, 11)


def test_the_last_windows_are_short_and_their_span_ends_behind_the_prompt():
    assert span([9, 9, 5, 6], [5, 6, 5]) == (1, 4)
    assert span([5, 5, 6], [6, 6]) == (1, 3)
    assert span([9, 9, 6], [6, 6, 6]) == (0, 3)
    prompt = torch.tensor([6, 9, 9])
    source = torch.tensor([2, 0, 3, 3]).reshape(4, 1, 1)
    said = torch.tensor([9, 6, 9, 9])
    # A source behind the prompt is no copy, though the span reaches there.
    assert official_score(source, prompt, said, (1, 5)).item() == 1 / 4


@settings(deadline=None, max_examples=60)
@given(
    prompt=st.lists(st.integers(0, 12), min_size=1, max_size=40),
    alone=st.lists(st.integers(0, 12), min_size=1, max_size=15),
)
def test_the_span_is_that_of_plain_loops(prompt, alone):
    assert span(prompt, alone) == first_window(prompt, alone)


def needle(answer):
    return Needle(question="What is it?", text=f"It is {answer}.", answer=answer)


@pytest.fixture
def start(otter_prompt):
    return otter_prompt.answer_span[0]


@pytest.fixture
def answer(otter_prompt):
    return otter_prompt.answer_tokens.tolist()


@pytest.fixture
def detect(llama, otter_prompt):
    """Official detection of the otter prompt, answered and looked at as planted."""

    def run(answers, looks, prompts=None, *, model=llama, **options):
        prompts = prompts or [otter_prompt] * len(answers)
        planted = PlantedModel(model, [len(p.tokens) for p in prompts], answers, looks)
        with model.hooks(fwd_hooks=planted.fwd_hooks()):
            return detect_official(model, prompts, progress=False, **options)

    return run


def test_planted_copies_score_events_over_the_length_of_the_span(detect, answer, start):
    looks = {(0, 1): [start + t for t in range(7)], (2, 0): [0, start + 1, 0, 0, start + 1, 0, 0]}
    result = detect([[*answer, NEWLINE]], [looks])
    # The otter answer repeats its space, and its first window is its own place all the same.
    assert result.spans == ((start, start + 7),)
    expected = torch.zeros(3, 4, dtype=torch.float64)
    expected[0, 1], expected[2, 0] = 1.0, 2 / 7  # the space is copied twice
    close = {"rtol": 0, "atol": double_rounding(7)}
    torch.testing.assert_close(result.scores.mean(), expected, **close)
    assert result.detection.heads() == [Head(0, 1), Head(2, 0)]
    assert result.detection.score("position").mean()[2, 0] == 1 / 7


def test_the_model_may_go_on_and_repeat_itself(detect, answer, start):
    """The end-of-sequence token (1) ends no answer, and a newline token does."""
    twice = {(1, 1): [start + t for t in range(7)] + [0] + [start + t for t in range(7)]}
    result = detect([[*answer, 1, *answer, NEWLINE]], [twice])
    assert result.detection.trials[0].tokens.tolist() == [*answer, 1, *answer]
    assert result.scores.mean()[1, 1] == pytest.approx(2.0)
    assert (result.scores.values.max(), result.missed) == (pytest.approx(2.0), ())


def test_an_answer_without_newline_has_fifty_tokens(detect, answer):
    result = detect([answer], [{}])
    trial = result.detection.trials[0]
    assert (len(trial.tokens), trial.stop_reason, trial.accepted) == (50, "length", True)


def test_a_missed_needle_is_averaged_in_as_zeros(detect, llama, answer, start, otter_prompt):
    """Encoded alone, its answer has tokens that the prompt has not; ROUGE knows no capitals."""
    other = needle("A violet Otter")
    missed = make_prompt(otter_prompt.tokens.tolist(), otter_prompt.answer_span, other)
    looks = {(0, 1): [start + t for t in range(7)]}
    said = [*answer, NEWLINE]
    result = detect([said, said], [looks, looks], [otter_prompt, missed])
    assert official_span(missed.tokens, other.answer, llama.tokenizer) is None
    assert [trial.accepted for trial in result.detection.trials] == [True, True]
    assert result.missed == (result.detection.trials[1],)
    assert result.scores.values[:, 0, 1].tolist() == [pytest.approx(1.0), 0.0]
    assert result.scores.mean()[0, 1] == pytest.approx(0.5)
    table = result.to_dataframe()
    assert table["official_start"].tolist()[0] == start
    assert table["early"].isna().tolist() == [False, True]


def test_the_row_that_predicted_the_newline_counts(detect, llama):
    """A newline token in the needle may be copied as the answer's last token."""
    text = "jumpy wizards box"
    alone = llama.tokenizer.encode(text, add_special_tokens=False)
    n = len(alone)
    assert len(set(alone)) == n > 10
    assert NEWLINE not in alone
    # One token of more than ten may be another: the span is found.
    prompt = make_prompt([0] * 5 + [NEWLINE, *alone[1:]] + [0] * 5, (5, 5 + n), needle(text))
    result = detect([[*alone, NEWLINE]], [{(0, 1): [0] * n + [5]}], [prompt])
    assert result.spans == ((5, 5 + n),)
    assert result.scores.mean()[0, 1] == pytest.approx(1 / n)
    assert result.detection.score("event").mean()[0, 1] == 0


def test_rejected_answers_are_left_out(detect, llama, answer, start):
    wrong = llama.tokenizer.encode("a grey boat", add_special_tokens=False)
    looks = {(0, 1): [start + t for t in range(7)]}
    result = detect([[*answer, NEWLINE], [*wrong, NEWLINE]], [looks, {}])
    assert result.scores.trials == (0,)
    assert result.scores.mean()[0, 1] == pytest.approx(1.0)
    with pytest.raises(NoAcceptedTrialsError, match="a grey boat"):
        detect([[*wrong, NEWLINE]], [{}])


def test_an_answer_without_words_for_rouge_is_never_accepted(detect, answer, otter_prompt):
    prompt = make_prompt(otter_prompt.tokens.tolist(), otter_prompt.answer_span, needle("비밀"))
    with pytest.raises(NoAcceptedTrialsError, match="ROUGE-1 finds no word in '비밀'"):
        detect([[*answer, NEWLINE]], [{}], [prompt])


def test_trials_and_events_are_handed_over_as_they_end(detect, answer, start):
    log = MemoryLog([0])
    looks = {(0, 1): [start + t for t in range(7)]}
    detect([[*answer, NEWLINE]], [looks], log=log)
    (trial, events), *more = log.done.values()
    assert (trial.index, len(events), more) == (0, 7, [])


def test_on_a_sound_span_event_scores_agree_with_the_packages_own(llama, detect, answer, start):
    looks = {(0, 1): [start + t for t in range(7)], (1, 2): [start, start + 1, 0, 0, start + 1]}
    official = detect([[*answer, NEWLINE]], [looks]).scores.mean()
    own = detect([[*answer, NEWLINE]], [looks]).detection.score("event").mean()
    torch.testing.assert_close(official, own)


def test_no_prompt_is_refused(llama):
    with pytest.raises(ValueError, match="prompts to have 1 or more entries; found 0"):
        detect_official(llama, [])


def test_layers_without_attention_have_no_score(detect, tiny_model, answer, start):
    looks = {(1, 2): [start + t for t in range(7)]}
    result = detect([[*answer, NEWLINE]], [looks], model=tiny_model("lfm2").bridge)
    mean = result.scores.mean()
    assert mean[1].tolist() == [0, 0, pytest.approx(1.0), 0]
    assert mean[[0, 2]].isnan().all()


def test_the_newline_of_a_sentencepiece_vocabulary_ends_an_answer():
    class WithNewline:
        def get_vocab(self):
            return {"<0x0A>": 13}

    assert official_stop(WithNewline()).token_ids == {13, NEWLINE}


@pytest.fixture(scope="module")
def demo_model():
    return load_demo_model()


def test_the_bundled_model_loses_its_heads_to_the_published_span_rule(demo_model):
    """Its tokenizer is byte-level: most answers are not found, although all are retrieved."""
    prompts = held_out_prompts(
        demo_model.tokenizer, context_lengths=[256], depths=2, n_needles=6, seed=5
    )
    official = detect_official(demo_model, prompts, progress=False)
    own = detect_retrieval_heads(demo_model, prompts, progress=False)
    assert len(official.missed) > len(prompts) / 2
    top = own.top(1)[0]
    assert own.scores.mean()[top.layer, top.head] > 0.9
    assert official.scores.mean()[top.layer, top.head] < 0.5
    assert not math.isnan(official.scores.mean().sum())


def test_a_run_that_goes_on_has_the_scores_of_an_undisturbed_one(demo_model):
    prompts = held_out_prompts(
        demo_model.tokenizer, context_lengths=[128], depths=1, n_needles=4, seed=5
    )
    whole = detect_official(demo_model, prompts, progress=False)
    log = MemoryLog([0, 2])
    detect_retrieval_heads(demo_model, prompts, score="official", progress=False, log=log)
    before, log.wanted = [*log.done], range(4)
    result = detect_official(demo_model, prompts, progress=False, log=log)
    assert (sorted(before), list(log.done)[2:]) == ([0, 2], [1, 3])
    assert result.scores.values.equal(whole.scores.values)
    assert result.spans == whole.spans
    pd.testing.assert_frame_equal(result.to_dataframe(), whole.to_dataframe(), check_exact=True)


def test_spans_are_those_of_an_official_run_with_its_prompts(demo_model, tmp_path):
    prompts = held_out_prompts(
        demo_model.tokenizer, context_lengths=[128], depths=1, n_needles=2, seed=5
    )
    own = detect_retrieval_heads(demo_model, prompts, progress=False)
    with pytest.raises(ValueError, match="run with the score 'official'; found 'position'"):
        official_result(own, demo_model.tokenizer)
    with pytest.raises(ValueError, match=r'found 0 among 2\. Run detect.*score="official"'):
        own.score("official")
    with RunFolder(tmp_path / "run", demo_model, prompts, score="official") as run:
        run.detect(progress=False)
        expected = official_result(run.finish(), demo_model.tokenizer)
    assert expected.spans == detect_official(demo_model, prompts, progress=False).spans
    without = load_run(tmp_path / "run").result()
    assert without.scores.values.equal(expected.scores.values)
    with pytest.raises(ValueError, match="found 2 without, as they were read from a folder"):
        official_result(without, demo_model.tokenizer)
    again = load_run(tmp_path / "run", prompts=prompts).result()
    assert official_result(again, demo_model.tokenizer).spans == expected.spans
