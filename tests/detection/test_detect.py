import io
import math
from contextlib import redirect_stderr

import pandas as pd
import pytest
import torch
from planted import PlantedModel, make_prompt
from tiny_models import TEXT, make_tiny_model
from tolerances import double_rounding, weight_rounding

from rh_lens.detection import (
    MemoryLog,
    NoAcceptedTrialsError,
    detect_retrieval_heads,
    detection_options,
)
from rh_lens.heads import Head
from rh_lens.prompts import build_grid, text_haystack
from rh_lens.runtime import PLAIN_EXECUTION, Execution, StopRule, strategy

LOST = 2  # a position outside every answer


@pytest.fixture
def start(otter_prompt):
    return otter_prompt.answer_span[0]


@pytest.fixture
def looks(start):
    """Where the planted heads look while the model says the 7 tokens "a", " ", "viol", "et" ...

    L0H1 copies all of them. L1H2 copies tokens 0, 2 and 3. L2H0 copies the first space, twice.
    L0H3 looks one position too far. The others look at the first token.
    """
    return {
        (0, 1): [start + t for t in range(7)],
        (1, 2): [start, LOST, start + 2, start + 3, LOST, LOST, LOST],
        (2, 0): [LOST, start + 1, LOST, LOST, start + 1, LOST, LOST],
        (0, 3): [start + t + 1 for t in range(7)],
    }


def detect(bridge, prompts, answers, looks, **options):
    planted = PlantedModel(bridge, [len(prompt.tokens) for prompt in prompts], answers, looks)
    with bridge.hooks(fwd_hooks=planted.fwd_hooks()):
        return detect_retrieval_heads(bridge, prompts, progress=False, **options)


@pytest.fixture
def result(llama, otter_prompt, looks, start):
    """One trial that answers, one that does not, although L2H3 copies its first token."""
    right = otter_prompt.answer_tokens.tolist()
    wrong = llama.tokenizer.encode("a grey boat", add_special_tokens=False)
    return detect(llama, [otter_prompt] * 2, [right, wrong], [looks, {(2, 3): [start]}])


def test_planted_attention_gives_exactly_the_planted_scores(result):
    expected = torch.zeros(3, 4, dtype=torch.float64)
    expected[0, 1], expected[1, 2], expected[2, 0] = 1.0, 3 / 7, 1 / 7
    assert torch.equal(result.scores.mean(), expected)
    assert torch.equal(result.scores.values, expected[None])
    expected[1, 2], expected[2, 0] = 3 / 6, 1 / 6  # six distinct tokens
    assert torch.equal(result.score("token-set").mean(), expected)
    expected[1, 2], expected[2, 0] = 3 / 7, 2 / 7
    assert torch.equal(result.score("event").mean(), expected)


def test_planted_attention_mass(result):
    mass = result.score("attention-mass").mean()
    expected = torch.zeros(3, 4, dtype=torch.float64)
    expected[0, 1], expected[1, 2] = 0.75, 0.75 * 3 / 7
    expected[2, 0], expected[0, 3] = 0.75 * 2 / 7, 0.75 * 6 / 7
    torch.testing.assert_close(mass, expected, rtol=0, atol=double_rounding(7))


def test_planted_attention_gives_exactly_the_planted_events(result, start):
    assert result.events.table["trial"].tolist() == [0] * 12 + [1]  # rejected ones are kept
    table = result.events.of_trials([0]).table
    events = list(zip(table["step"], table["layer"], table["head"], table["source"], strict=True))
    assert events == [
        (0, 0, 1, start),
        (0, 1, 2, start),
        (1, 0, 1, start + 1),
        (1, 2, 0, start + 1),
        (2, 0, 1, start + 2),
        (2, 1, 2, start + 2),
        (3, 0, 1, start + 3),
        (3, 1, 2, start + 3),
        (4, 0, 1, start + 4),
        (4, 2, 0, start + 1),
        (5, 0, 1, start + 5),
        (6, 0, 1, start + 6),
    ]
    assert table["token"].tolist()[-3:] == [" ", "ot", "ter"]
    assert set(table["weight"]) == set(table["needle_mass"]) == {0.75}
    assert set(table["sink_mass"]) == {0.25}


def test_heads_are_ranked_and_cut_at_the_threshold(result):
    assert result.top(3) == [Head(0, 1), Head(1, 2), Head(2, 0)]
    assert result.heads() == [Head(0, 1), Head(1, 2), Head(2, 0)]
    assert result.heads(threshold=0.2) == [Head(0, 1), Head(1, 2)]


def test_the_runs_own_threshold_is_the_default(llama, otter_prompt, looks):
    right = otter_prompt.answer_tokens.tolist()
    result = detect(llama, [otter_prompt], [right], [looks], threshold=0.5)
    assert result.heads() == [Head(0, 1)]


def test_trials_keep_the_rejected_with_their_reason(result):
    answered, failed = result.trials
    assert result.accepted == (answered,)
    assert result.rejected == (failed,)
    assert (answered.text, answered.recall, answered.stop_reason) == ("a violet otter", 1.0, "eos")
    assert failed.reason == (
        "ROUGE-1 recall 0.33 of 'a violet otter' is not above 0.5 (lacks violet, otter); "
        "the model answered 'a grey boat'"
    )


def test_the_table_adds_groups_and_activation(result):
    table = result.to_dataframe()
    assert list(table.columns) == [
        "layer",
        "head",
        "label",
        "kv_group",
        "score",
        "n_trials",
        "activation",
    ]
    assert table["label"].tolist()[:3] == ["L0H1", "L1H2", "L2H0"]
    assert table["kv_group"].tolist()[:3] == [0, 1, 0]
    assert table["activation"].tolist() == [1.0, 1.0, 1.0] + [0.0] * 9
    assert (table["n_trials"] == 1).all()
    assert (result.n_heads, result.n_kv_heads) == (4, 2)


def test_a_model_that_repeats_itself_has_event_scores_above_one(llama, otter_prompt, start):
    right = otter_prompt.answer_tokens.tolist()
    twice = {(1, 1): [start + t % 7 for t in range(14)]}
    result = detect(llama, [otter_prompt], [right * 2], [twice])
    assert result.score("event").mean()[1, 1] == 2.0
    assert result.score("position").mean()[1, 1] == 1.0
    assert result.score("token-set").mean()[1, 1] == 1.0


def test_the_step_of_the_stop_is_no_step(llama, otter_prompt, start):
    """The row that predicts the newline looks at the answer too, and counts nowhere."""
    right = otter_prompt.answer_tokens.tolist()
    newline = llama.tokenizer.encode("\n", add_special_tokens=False)
    look = {(1, 1): [LOST] * 7 + [start] * 5}
    result = detect(llama, [otter_prompt], [right + newline * 5], [look])
    assert len(result.trials[0].tokens) == 7
    assert result.score("attention-mass").mean()[1, 1] == 0.0


def test_a_leading_newline_is_a_step_and_the_answer_goes_on(llama, otter_prompt, start):
    right = otter_prompt.answer_tokens.tolist()
    newline = llama.tokenizer.encode("\n", add_special_tokens=False)
    look = {(1, 1): [LOST] + [start + t for t in range(7)]}
    result = detect(llama, [otter_prompt], [newline + right], [look])
    assert result.scores.mean()[1, 1] == 1.0
    assert len(result.trials[0].tokens) == 8


def test_heads_whose_window_never_reaches_the_answer_have_no_score(tiny_model, otter_prompt, start):
    bridge = tiny_model("gemma3").bridge  # windows of 12 in layers 0 and 1
    right = otter_prompt.answer_tokens.tolist()
    look = {(2, 1): [start + t for t in range(7)]}
    result = detect(bridge, [otter_prompt], [right], [look])
    assert result.scores.mean()[:2].isnan().all()
    assert result.scores.mean()[2].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert result.to_dataframe()["n_trials"].tolist() == [1] * 4 + [0] * 8


def test_a_window_that_reaches_the_answer_has_a_score(tiny_model, random_tokens, otter_needle):
    bridge = tiny_model("gemma3").bridge
    answer = bridge.tokenizer.encode("a violet otter", add_special_tokens=False)
    tokens = [*random_tokens[:30].tolist(), *answer, 40, 41]
    prompt = make_prompt(tokens, (30, 37), otter_needle)
    result = detect(bridge, [prompt], [answer], [{(2, 3): list(range(30, 37))}])
    assert not result.scores.mean().isnan().any()
    assert result.top(1) == [Head(2, 3)]


@pytest.mark.parametrize("name", ["lfm2", "qwen3-next"])
def test_layers_without_attention_have_no_score(tiny_model, otter_prompt, start, name):
    bridge = tiny_model(name).bridge
    right = otter_prompt.answer_tokens.tolist()
    result = detect(bridge, [otter_prompt], [right], [{(1, 3): [start + t for t in range(7)]}])
    mean = result.scores.mean()
    assert mean[1].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert mean[[0, 2]].isnan().all()
    assert set(result.events.table["layer"]) == {1}


def test_teacher_forcing_needs_no_right_answer(llama, otter_prompt):
    result = detect_retrieval_heads(
        llama, [otter_prompt] * 2, score="teacher-forced", progress=False
    )
    assert result.accepted == ()
    assert result.scores.values.shape == (2, 3, 4)
    assert result.scores.values.isfinite().all()
    assert torch.equal(result.scores.values[0], result.trials[0].recorded_scores["teacher-forced"])
    fed = result.score("fed-attention")
    assert torch.equal(fed.values[1], result.trials[1].recorded_scores["fed-attention"])
    assert (fed.values >= result.scores.values).all()
    assert result.to_dataframe()["activation"].isna().all()
    with pytest.raises(NoAcceptedTrialsError):
        result.score("position")


def test_no_accepted_trial_is_an_error_that_quotes_the_model(llama, otter_prompt):
    boat = llama.tokenizer.encode("the old boat", add_special_tokens=False)
    with pytest.raises(NoAcceptedTrialsError) as caught:
        detect(llama, [otter_prompt] * 2, [boat, []], [{}, {}])
    message = str(caught.value)
    assert "found 2 rejected." in message
    place = f"(150 tokens, depth {otter_prompt.depth:.2f})"
    assert f"trial 0 {place}: ROUGE-1 recall 0.00" in message
    assert "the model answered 'the old boat'" in message
    assert f"trial 1 {place}: empty answer" in message
    assert [trial.index for trial in caught.value.trials] == [0, 1]


def test_each_trial_is_reported_as_it_ends(llama, otter_prompt, looks):
    right = otter_prompt.answer_tokens.tolist()
    log = MemoryLog([0, 1])
    result = detect(
        llama,
        [otter_prompt] * 2,
        [right, [50, 51]],
        [looks, {}],
        log=log,
    )
    assert [trial for trial, _ in log.done.values()] == list(result.trials)
    assert [len(events) for _, events in log.done.values()] == [12, 0]


def test_answers_have_room_for_32_tokens_or_one_and_a_half_answers(llama, otter_prompt):
    long = make_prompt(otter_prompt.tokens.tolist(), (20, 60), otter_prompt.needle)
    for prompt, room in ((otter_prompt, 32), (long, 60)):
        with pytest.raises(NoAcceptedTrialsError) as caught:
            detect_retrieval_heads(llama, [prompt], progress=False, stop=StopRule(frozenset()))
        assert len(caught.value.trials[0].tokens) == room


def test_options_reach_decoding_and_acceptance(llama, otter_prompt, looks):
    right = otter_prompt.answer_tokens.tolist()
    result = detect(llama, [otter_prompt], [right], [looks], max_new_tokens=5, min_recall=0.3)
    (trial,) = result.trials
    assert (trial.text, trial.stop_reason) == ("a violet ", "length")
    assert trial.recall == pytest.approx(2 / 3)


def test_a_progress_bar_counts_unless_quiet(llama, otter_prompt, looks):
    right = otter_prompt.answer_tokens.tolist()
    planted = PlantedModel(llama, [150] * 2, [right] * 2, [looks] * 2)
    shown = {}
    with llama.hooks(fwd_hooks=planted.fwd_hooks()):
        for progress in (True, False):
            with redirect_stderr(io.StringIO()) as stream:
                detect_retrieval_heads(llama, [otter_prompt], progress=progress)
            shown[progress] = stream.getvalue()
    assert "answering: 100%" in shown[True]
    assert shown[False] == ""


def test_no_prompt_is_refused(llama):
    with pytest.raises(ValueError, match="prompts to have 1 or more entries; found 0"):
        detect_retrieval_heads(llama, [])


def test_an_unknown_score_is_refused(llama, otter_prompt):
    options = detection_options(llama, [otter_prompt])
    object.__setattr__(options, "score", "copy")
    with pytest.raises(ValueError, match=r"one of position, token-set, event, .*; found 'copy'"):
        options.__post_init__()


def test_a_model_that_is_no_bridge_is_refused(otter_prompt):
    with pytest.raises(TypeError, match="Expected a TransformerBridge; found str"):
        detect_retrieval_heads("gpt2", [otter_prompt])


def test_a_generated_run_has_no_teacher_forced_score(result):
    with pytest.raises(ValueError, match=r'found 0 among 2\. Run .*score="teacher-forced"'):
        result.score("teacher-forced")


def test_nan_is_never_a_score_of_zero(result):
    assert not any(math.isnan(value) for value in result.scores.mean().flatten().tolist())


def test_how_prompts_are_read_changes_no_result(
    llama, otter_prompt, tiny_tokenizer, otter_needle, monkeypatch
):
    """Scores, events and trials are those of one prompt after the other, step by step."""
    monkeypatch.setattr(strategy, "SHORT", 100)  # "auto" decides as for long prompts
    grid = build_grid(
        tiny_tokenizer,
        text_haystack([TEXT] * 8),
        [otter_needle],
        context_lengths=[150, 220],
        depths=2,
    )
    ways = [{}, {"prefill": "chunked"}, {"prefill": "sdpa"}, {"batch_size": 4}]
    ways = [PLAIN_EXECUTION, *(Execution(**way) for way in ways)]
    options = {"score": "teacher-forced", "max_new_tokens": 32, "progress": False}
    results = [detect_retrieval_heads(llama, grid, **options, execution=way) for way in ways]
    exact = ["trial", "step", "layer", "head", "source", "answer_offset", "token_id", "token"]
    for result in results[1:]:
        assert torch.equal(result.scores.values, results[0].scores.values)
        pd.testing.assert_frame_equal(result.events.table[exact], results[0].events.table[exact])
        pd.testing.assert_frame_equal(
            result.events.table, results[0].events.table, rtol=0, atol=weight_rounding(llama, 252)
        )
        for trial, expected in zip(result.trials, results[0].trials, strict=True):
            assert torch.equal(trial.tokens, expected.tokens)
            assert trial.text == expected.text
    assert len(results[0].events.table) > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_counts_its_ties(tiny_tokenizer, otter_prompt, dtype):
    bridge = make_tiny_model("llama", tiny_tokenizer).bridge.to(dtype, print_details=False)
    result = detect_retrieval_heads(
        bridge,
        [otter_prompt] * 2,
        score="teacher-forced",
        progress=False,
        execution=Execution(prefill="sdpa"),
    )
    assert [trial.n_ties for trial in result.trials] == [result.trials[0].n_ties] * 2
    assert result.events.table["margin"].dtype == "float32"
    assert (result.events.table["margin"] <= result.events.table["weight"]).all()
