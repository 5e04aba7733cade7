import pytest
import torch
from detection_cases import SPAN, random_case

from rh_lens.detection import judge_trial
from rh_lens.runtime import Generation


def test_a_trial_carries_answer_verdict_and_what_was_seen(tiny_tokenizer):
    case = random_case(0)
    generation = Generation(case.generated, "some otter", "newline")
    trial = judge_trial(5, case.prompt, generation, case.sources, tiny_tokenizer)
    assert (trial.index, trial.text, trial.stop_reason) == (5, "some otter", "newline")
    assert torch.equal(trial.tokens, case.generated)
    assert (trial.accepted, trial.recall, trial.recall_measure) == (False, 0.5, "rouge1")
    assert trial.reason.endswith(
        "is not above 0.5 (lacks an); the model answered 'some otter', stopped at a line break"
    )
    assert trial.visible.all()
    assert trial.recorded_scores == {}
    assert trial.n_ties == int((case.sources.margin == 0).sum()) > 0


def test_the_threshold_can_be_chosen(tiny_tokenizer):
    case = random_case(0)
    generation = Generation(case.generated, "some otter", "newline")
    trial = judge_trial(5, case.prompt, generation, case.sources, tiny_tokenizer, min_recall=0.4)
    assert (trial.accepted, trial.reason) == (True, "accepted")


def test_what_is_out_of_sight_has_no_mass(tiny_tokenizer):
    trial = random_case(0, first_visible=SPAN[1]).trial(0, tiny_tokenizer)
    assert not trial.visible.any()
    assert trial.attention_mass.isnan().all()


def test_an_empty_answer_saw_nothing(tiny_tokenizer):
    case = random_case(0)
    nothing = Generation(torch.tensor([], dtype=torch.long), "", "eos")
    sources = case.sources.answer_rows(20, 0)
    trial = judge_trial(0, case.prompt, nothing, sources, tiny_tokenizer)
    assert (trial.accepted, trial.reason) == (False, "empty answer")
    assert not trial.visible.any()
    assert trial.attention_mass.isnan().all()


@pytest.mark.parametrize("value", [0.25, 1.0])
def test_teacher_forced_shares_are_kept(tiny_tokenizer, value):
    case = random_case(0)
    shares = {"teacher-forced": torch.full((3, 4), value, dtype=torch.float64)}
    generation = Generation(case.generated, "", "length")
    trial = judge_trial(
        0, case.prompt, generation, case.sources, tiny_tokenizer, recorded_scores=shares
    )
    assert trial.recorded_scores is shares
