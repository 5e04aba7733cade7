import io
from contextlib import redirect_stderr

import pandas as pd
import pytest
import torch
from planted import make_prompt
from tolerances import weight_rounding

from rh_lens.evaluation import ACTIVITY_COLUMNS, kept_answers, needle_recall
from rh_lens.heads import Head
from rh_lens.interventions import zero_ablation
from rh_lens.prompts import Needle, build_grid, evaluation_needles, synthetic_haystack
from rh_lens.runtime import PLAIN_EXECUTION, Condition, StopRule, greedy_decode

NEVER, STEPS = StopRule(frozenset()), 8
LAYER = [Head(1, head) for head in range(4)]
CONDITIONS = {
    "both": Condition(zero_ablation(LAYER)),
    "plain": Condition(),
    "decode": Condition(zero_ablation(LAYER), "decode"),
    "one head": Condition(zero_ablation(LAYER[:1]), "decode"),
    "prefill": Condition(zero_ablation(LAYER), "prefill"),
}
RETRIEVAL_HEADS = [Head(2, head) for head in (2, 3, 4, 5)]


def run(bridge, prompts, conditions=None, **options):
    return needle_recall(bridge, prompts, conditions, progress=False, **options)


def test_three_measures_of_an_answer(answer):
    """The needle's answer is "a violet otter", three words."""
    result = answer(
        "a violet otter",
        " A  Violet otter.",
        "It is a violet otter, by the bridge.",
        "a violet boat",
        "an otter",
        "a violet otter..",
        "",
    )
    columns = ["recall", "exact", "contains", "retrieved"]
    assert result.answers[columns].to_numpy().tolist() == [
        [1.0, True, True, True],
        [1.0, True, True, True],
        [1.0, False, True, True],
        [pytest.approx(2 / 3), False, False, True],
        [pytest.approx(1 / 3), False, False, False],
        [1.0, False, True, True],
        [0.0, False, False, False],
    ]


def test_an_answer_that_rouge_cannot_read_is_counted_in_tokens(llama):
    needle = Needle("Was ist es?", "Das ist вода.", "вода")
    said = llama.tokenizer.encode("вода", add_special_tokens=False)
    prompt = make_prompt([5, 6, *said, 7, 8], (2, 2 + len(said)), needle)
    result = run(llama, [prompt], max_new_tokens=2, stop=NEVER)
    assert result.answers["recall"].tolist() == [0.0]
    assert not result.answers["exact"].any()


def test_the_table_has_a_row_for_each_condition_and_prompt_in_their_order(llama, prompts):
    prompts = prompts[:3]
    result = run(llama, prompts, CONDITIONS, max_new_tokens=3, stop=NEVER)
    table = result.to_dataframe()
    assert table["condition"].tolist() == [name for name in CONDITIONS for _ in range(3)]
    assert table["trial"].tolist() == [0, 1, 2] * 5
    assert list(result.tokens) == [(name, trial) for name in CONDITIONS for trial in range(3)]
    assert result.conditions == tuple(CONDITIONS)
    assert list(table.columns) == [
        "condition",
        "trial",
        "needle",
        "context_length",
        "requested_depth",
        "depth",
        "recall",
        "exact",
        "contains",
        "retrieved",
        "n_tokens",
        "stop_reason",
        "text",
    ]
    assert table["needle"].tolist() == [prompt.needle.name for prompt in prompts] * 5
    assert (table["n_tokens"] == 3).all()
    assert (table["stop_reason"] == "length").all()
    table["recall"] = 0.5
    assert not (result.answers["recall"] == 0.5).any()


@pytest.mark.parametrize("name", ["llama", "lfm2"])
def test_forked_conditions_equal_separate_runs(tiny_model, prompts, name):
    bridge, prompts = tiny_model(name).bridge, prompts[:2]
    options = {"max_new_tokens": STEPS, "stop": NEVER}
    result = run(bridge, prompts, CONDITIONS, **options)
    for (condition, trial), tokens in result.tokens.items():
        alone = greedy_decode(
            bridge,
            prompts[trial].tokens,
            decode_hooks=CONDITIONS[condition].decode_hooks,
            prefill_hooks=CONDITIONS[condition].prefill_hooks,
            execution=PLAIN_EXECUTION,
            **options,
        )
        assert torch.equal(tokens, alone.tokens)
    texts = result.answers.pivot(index="trial", columns="condition", values="text")
    assert (texts["plain"] != texts["decode"]).any()


def test_drafts_and_shared_prompts_change_no_activity(llama, prompts):
    conditions = {name: CONDITIONS[name] for name in ("both", "decode")}
    options = {"max_new_tokens": STEPS, "stop": NEVER, "heads": LAYER[:2]}
    fast = run(llama, prompts[:2], conditions, **options)
    plain = run(
        llama,
        prompts[:2],
        conditions,
        execution=PLAIN_EXECUTION,
        **options,
    )
    allowed = weight_rounding(llama, max(len(prompt.tokens) for prompt in prompts) + STEPS)
    pd.testing.assert_frame_equal(fast.activity, plain.activity, rtol=0, atol=allowed)
    assert len(fast.activity) == 2 * 2 * STEPS * 2


def test_activity_is_where_the_chosen_heads_looked(answer, otter_prompt):
    """L2H3 looks at the first three tokens of "a", " ", "viol", "et" ...; L1H0 at the sink."""
    start = otter_prompt.answer_span[0]
    looks = [{(2, 3): [start, start + 1, start + 2]}, {(2, 3): [7]}]
    result = answer("a viol", "b", looks=looks, heads=[Head(2, 3), Head(1, 0)])
    table = result.activity
    assert tuple(table.columns) == ACTIVITY_COLUMNS
    places = ["condition", "trial", "step", "layer", "head", "source"]
    assert table[places].to_numpy().tolist() == [
        ["plain", 0, 0, 2, 3, start],
        ["plain", 0, 0, 1, 0, 0],
        ["plain", 0, 1, 2, 3, start + 1],
        ["plain", 0, 1, 1, 0, 0],
        ["plain", 0, 2, 2, 3, start + 2],
        ["plain", 0, 2, 1, 0, 0],
        ["plain", 1, 0, 2, 3, 7],
        ["plain", 1, 0, 1, 0, 0],
    ]
    assert table["weight"].tolist() == [0.75, 1.0] * 4
    assert table["needle_mass"].tolist() == [0.75, 0.0] * 3 + [0.0, 0.0]
    assert table["sink_mass"].tolist() == [0.25, 1.0] * 4
    assert table["margin"].tolist() == [0.5, 1.0] * 4


def test_activity_is_recorded_behind_a_conditions_own_edits(llama, otter_prompt):
    def look_at_five(pattern, hook):
        pattern = torch.zeros_like(pattern)
        pattern[..., 5] = 1.0
        return pattern

    edit = [("blocks.1.attn.hook_pattern", look_at_five)]
    conditions = {"plain": Condition(), "edited": Condition(edit, "decode")}
    result = run(llama, [otter_prompt], conditions, heads=[Head(1, 2)], max_new_tokens=4)
    sources = result.activity.groupby("condition")["source"].agg(set)
    assert sources["edited"] == {5}
    assert sources["plain"] != {5}


def test_without_heads_nothing_is_recorded(llama, otter_prompt, monkeypatch):
    def refuse(model, prompt):
        raise AssertionError("a recorder was made")

    monkeypatch.setattr(kept_answers, "answer_recorder", refuse)
    assert run(llama, [otter_prompt], max_new_tokens=2).activity is None


def test_summary_counts_answers_and_needles(answer):
    result = answer("a violet otter", "a violet otter.", "an otter", "")
    (row,) = result.summary().to_dict("records")
    assert row["condition"] == "plain"
    assert (row["n"], row["n_needles"]) == (4, 1)
    assert row["recall"] == pytest.approx((1 + 1 + 1 / 3 + 0) / 4)
    assert (row["exact"], row["contains"], row["retrieved"]) == (0.5, 0.5, 0.5)
    # One needle says nothing about others; four of them do.
    assert (row["recall_low"], row["recall_high"]) == (0.0, 1.0)
    result.answers["needle"] = list("abcd")
    (row,) = result.summary().to_dict("records")
    assert row["n_needles"] == 4
    assert 0 < row["recall_low"] < row["recall"] < row["recall_high"] < 1
    assert result.summary(level=0.5)["recall_low"][0] > row["recall_low"]


def test_grid_is_a_mean_over_needles(llama, prompts):
    result = run(llama, prompts, max_new_tokens=2)
    result.answers["recall"] = [float(trial) for trial in range(12)]
    table = result.grid("plain")
    assert table.index.tolist() == [150, 200]
    assert table.columns.tolist() == [0.0, 0.5, 1.0]
    assert table.to_numpy().tolist() == [[0.5, 2.5, 4.5], [6.5, 8.5, 10.5]]
    assert result.grid("plain", "exact").to_numpy().tolist() == [[0.0] * 3] * 2
    real = result.grid("plain", "depth")
    expected = result.answers["depth"].to_numpy().reshape(2, 3, 2).mean(axis=2)
    assert real.to_numpy() == pytest.approx(expected)
    assert (real.loc[150] - real.columns).abs().max() > 0.01
    with pytest.raises(ValueError, match=r"condition to be one of \['plain'\]; found 'none'"):
        result.grid("none")


def test_prompts_that_repeat_others_are_named(answer):
    with pytest.warns(UserWarning, match="found 1 among 3: 2 repeat others"):
        answer("a violet otter", "a violet otter", "none")


def test_an_answer_has_room_for_half_as_much_again(llama, otter_prompt):
    long = make_prompt(otter_prompt.tokens.tolist(), (20, 60), otter_prompt.needle)
    for prompt, room in ((otter_prompt, 32), (long, 60)):
        assert run(llama, [prompt], stop=NEVER).answers["n_tokens"].tolist() == [room]


def test_a_progress_bar_counts_answers_unless_quiet(llama, otter_prompt):
    shown = {}
    for progress in (True, False):
        with redirect_stderr(io.StringIO()) as stream:
            needle_recall(llama, [otter_prompt], CONDITIONS, max_new_tokens=2, progress=progress)
        shown[progress] = stream.getvalue()
    assert "answering: 100%" in shown[True]
    assert "5/5" in shown[True]
    assert shown[False] == ""


def test_what_cannot_be_asked_is_refused(llama, otter_prompt):
    with pytest.raises(ValueError, match="prompts to have 1 or more entries; found 0"):
        run(llama, [])
    with pytest.raises(ValueError, match="at least one condition; found none"):
        run(llama, [otter_prompt], {})
    with pytest.raises(ValueError, match=r"in the layers \[0, 1, 2\], .*; found L3H0"):
        run(llama, [otter_prompt], heads=[Head(1, 1), Head(3, 0)])
    with pytest.raises(ValueError, match="Expected heads below 4 in layer 0; found"):
        run(llama, [otter_prompt], heads=[Head(1, 1), Head(0, 4)])
    with pytest.raises(TypeError, match="Expected a TransformerBridge; found str"):
        run("gpt2", [otter_prompt])


def test_a_hook_that_is_never_called_is_an_error(llama, prompts):
    silent = [("blocks.1.attn.hook_hidden_states", lambda tensor, hook: None)]
    with pytest.raises(RuntimeError, match="found 1 of 1 silent"):
        run(llama, prompts[:1], {"silent": Condition(silent, "decode")}, max_new_tokens=2)


def test_the_bundled_model_loses_new_needles_without_its_retrieval_heads(demo_model):
    """12 needles that no head was found with: all are answered, or none."""
    prompts = build_grid(
        demo_model.tokenizer,
        synthetic_haystack(),
        evaluation_needles(),
        context_lengths=[128],
        depths=1,
    )
    conditions = {
        "plain": Condition(scope="decode"),
        "without them": Condition(zero_ablation(RETRIEVAL_HEADS), "decode"),
        "without the others": Condition(
            zero_ablation(Head(2, head) for head in (0, 1, 6, 7)), "decode"
        ),
    }
    summary = run(demo_model, prompts, conditions).summary()
    assert summary["n"].tolist() == [12] * 3
    assert summary["exact"].tolist() == [1.0, 0.0, 1.0]
    assert summary["retrieved"].tolist() == [1.0, 0.0, 1.0]
