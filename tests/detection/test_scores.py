import math
from dataclasses import replace
from typing import get_args

import pytest
import reference
import torch
from detection_cases import N_HEADS, N_LAYERS, SPAN, random_case
from tolerances import double_rounding, rounding

from rh_lens.detection import (
    SCORES,
    CopyEvents,
    ScoreName,
    activation_frequency,
    aligned_share,
    always_active_heads,
    attention_mass_scores,
    copied_share,
    event_scores,
    fed_attention_scores,
    find_copy_events,
    position_scores,
    teacher_forced_scores,
    token_set_scores,
)
from rh_lens.heads import Head

HEADS = [(layer, head) for layer in range(N_LAYERS) for head in range(N_HEADS)]


@pytest.fixture(scope="module")
def cases():
    """Four answered prompts; the answer is out of sight in the third."""
    return [random_case(seed, first_visible=SPAN[1] if seed == 2 else 0) for seed in range(4)]


@pytest.fixture(scope="module")
def trials(cases, tiny_tokenizer):
    return [case.trial(index * 10, tiny_tokenizer) for index, case in enumerate(cases)]


@pytest.fixture(scope="module")
def events(cases, trials, tiny_tokenizer):
    """Events of the trials that could see the answer: the others can have none."""
    return CopyEvents.join(
        find_copy_events(trial.index, case.prompt, case.generated, case.sources, tiny_tokenizer)
        for case, trial in zip(cases, trials, strict=True)
        if trial.visible.any()
    )


def copied_positions(case, layer, head):
    """Sources of one head's events in one case, by plain loops."""
    prompt, generated = case.prompt.tokens.tolist(), case.generated.tolist()
    found = reference.copy_events(case.rows, prompt, generated, SPAN)
    return [source for _, la, he, source in found if (la, he) == (layer, head)]


def assert_equal_to(scores, cases, expected):
    """Scores equal `expected(case, layer, head)` exactly; NaN in the case that saw nothing."""
    assert scores.values.dtype == torch.float64
    for place, case in enumerate(cases):
        for layer, head in HEADS:
            value = float(scores.values[place, layer, head])
            if place == 2:
                assert math.isnan(value)
            else:
                assert value == expected(case, layer, head)


def test_position_scores_equal_plain_loops(cases, trials, events):
    def of(case, layer, head):
        return reference.position_score(copied_positions(case, layer, head), SPAN)

    scores = position_scores(events, trials)
    assert_equal_to(scores, cases, of)
    assert (scores.name, scores.trials) == ("position", (0, 10, 20, 30))


def test_token_set_scores_equal_plain_loops(cases, trials, events):
    def of(case, layer, head):
        copied = copied_positions(case, layer, head)
        return reference.token_set_score(copied, case.prompt.tokens.tolist(), SPAN)

    assert_equal_to(token_set_scores(events, trials), cases, of)


def test_event_scores_equal_plain_loops(cases, trials, events):
    def of(case, layer, head):
        return reference.event_score(copied_positions(case, layer, head), SPAN)

    assert_equal_to(event_scores(events, trials), cases, of)


def test_attention_mass_equals_plain_loops(cases, trials):
    values = attention_mass_scores(trials).values
    for place, case in enumerate(cases):
        for layer, head in HEADS:
            value = float(values[place, layer, head])
            rows = [step[layer][head] for step in case.rows]
            if place == 2:
                assert math.isnan(value)
            else:
                expected = reference.attention_mass(rows, SPAN)
                assert value == pytest.approx(
                    expected, rel=rounding(len(rows) * (SPAN[1] - SPAN[0]))
                )


def test_aligned_share_equals_plain_loops(cases):
    n_answer = SPAN[1] - SPAN[0]
    for case in cases:
        share = aligned_share(case.sources.source[:n_answer], SPAN[0])
        for layer, head in HEADS:
            rows = [step[layer][head] for step in case.rows[:n_answer]]
            assert float(share[layer, head]) == reference.fed_attention_score(rows, SPAN)


def test_copied_share_equals_plain_loops(cases):
    n_answer = SPAN[1] - SPAN[0]
    for case in cases:
        tokens = case.prompt.tokens.tolist()
        # The model chooses every other token of the answer.
        choices = [tokens[SPAN[0] + t] if t % 2 else -1 for t in range(n_answer)]
        chosen = torch.tensor([t % 2 == 1 for t in range(n_answer)])
        share = copied_share(case.sources.source[:n_answer], SPAN[0], chosen)
        for layer, head in HEADS:
            rows = [step[layer][head] for step in case.rows[:n_answer]]
            expected = reference.teacher_forced_score(rows, choices, tokens, SPAN)
            assert float(share[layer, head]) == expected


def test_activation_frequency_equals_plain_loops(cases, trials, events):
    frequency = activation_frequency(events, trials)
    for layer, head in HEADS:
        n_events = [
            len(copied_positions(case, layer, head)) if place != 2 else 0
            for place, case in enumerate(cases)
        ]
        assert float(frequency[layer, head]) == reference.activation_frequency(n_events)


def test_always_active_heads_have_frequency_one(cases, trials, events):
    seen = [place for place in range(4) if place != 2]
    expected = [
        Head(*place)
        for place in HEADS
        if all(copied_positions(cases[trial], *place) for trial in seen)
    ]
    seeing = [trials[place] for place in seen]
    assert always_active_heads(events, seeing) == expected
    assert always_active_heads(events, trials) == []  # one trial of four saw nothing
    assert expected


def test_a_head_that_never_saw_an_answer_has_no_frequency(trials, events):
    frequency = activation_frequency(events.of_trials([]), [trials[2]])
    assert frequency.isnan().all()


def test_a_trial_without_events_scores_zero_where_it_could_see(trials):
    none = CopyEvents.join([])
    for score in (position_scores, token_set_scores, event_scores):
        assert (score(none, trials[:2]).values == 0).all()


def test_means_skip_what_was_not_seen(cases, trials, events):
    scores = position_scores(events, trials)
    for layer, head in HEADS:
        values = scores.values[:, layer, head].tolist()
        assert float(scores.mean()[layer, head]) == pytest.approx(
            reference.mean_where_seen(values), rel=double_rounding(4)
        )


@pytest.mark.parametrize(
    ("score", "name"),
    [(teacher_forced_scores, "teacher-forced"), (fed_attention_scores, "fed-attention")],
)
def test_scores_of_fed_answers_stack_the_trials(trials, score, name):
    shares = [torch.rand(N_LAYERS, N_HEADS, dtype=torch.float64) for _ in trials]
    forced = [
        replace(trial, recorded_scores={name: share, "other": -share})
        for trial, share in zip(trials, shares, strict=True)
    ]
    scores = score(forced)
    assert torch.equal(scores.values, torch.stack(shares))
    assert scores.name == name
    with pytest.raises(ValueError, match=rf'found 0 among 4\. Run detect.*score="{name}"'):
        score(trials)


def test_the_table_has_every_score_under_its_own_name(trials, events):
    assert tuple(SCORES) == get_args(ScoreName)
    shares = {name: torch.rand(N_LAYERS, N_HEADS, dtype=torch.float64) for name in SCORES}
    forced = [replace(trial, recorded_scores=shares) for trial in trials]
    assert all(score.compute(events, forced).name == name for name, score in SCORES.items())


def test_events_of_other_trials_are_refused(trials, events):
    with pytest.raises(ValueError, match=r"of trials \[0\] only; found events of \[10, 30\]"):
        position_scores(events, trials[:1])


@pytest.mark.parametrize("score", [position_scores, token_set_scores, event_scores])
def test_nothing_to_score_is_refused(score):
    with pytest.raises(ValueError, match=r"one or more trials, each once; found indices \(\)"):
        score(CopyEvents.join([]), [])


def test_a_trial_counts_once(trials, events):
    with pytest.raises(ValueError, match=r"each once; found indices \(0, 0\)"):
        position_scores(events.of_trials([0]), [trials[0], trials[0]])


def test_attention_mass_of_nothing_is_refused():
    with pytest.raises(ValueError, match="one or more trials"):
        attention_mass_scores([])
