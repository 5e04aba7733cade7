"""Attention of the question, detectors side by side, and which of them predicts the effect."""

import dataclasses
import math

import pytest
import torch
from tolerances import weight_rounding

from rh_lens.circuits import (
    compare_kinds,
    contrastive_heads,
    predict_effect,
    query_focused_heads,
    retrieval_detectors,
)
from rh_lens.circuits.question_attention import other_stretches, question_span
from rh_lens.heads import Head


@pytest.fixture(scope="module")
def detectors(demo, demo_prompts):
    return retrieval_detectors(demo, demo_prompts[:2])


def test_the_question_s_span_holds_the_question(demo, demo_prompts, otter_prompt) -> None:
    for prompt in (*demo_prompts, otter_prompt):
        start, stop = question_span(prompt)
        assert prompt.tokenizer.decode(prompt.tokens[start:stop]).strip() == prompt.needle.question
        assert start >= prompt.needle_span[1]


def square(bridge, tokens, layer):
    kept = {}

    def keep(pattern, hook):
        kept["pattern"] = pattern[0].double()

    point = f"blocks.{layer}.attn.hook_pattern"
    with torch.inference_mode(), bridge.hooks(fwd_hooks=[(point, keep)]):
        bridge(tokens[None], return_type=None)
    return kept["pattern"]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_query_focused_attention_equals_a_plain_loop(
    tiny_model, otter_prompt, architecture
) -> None:
    bridge = tiny_model(architecture).bridge
    start, stop = question_span(otter_prompt)
    null = bridge.tokenizer.encode(" N/A", add_special_tokens=False)
    asked = otter_prompt.tokens[:stop]
    empty = torch.cat([otter_prompt.tokens[:start], torch.tensor(null)])
    found = query_focused_heads(bridge, [otter_prompt]).mean()
    tolerance = weight_rounding(bridge, len(asked))
    alone = query_focused_heads(bridge, [otter_prompt], null_question=None).mean()
    for layer in (0, 2):
        pattern, without = square(bridge, asked, layer), square(bridge, empty, layer)
        for head in range(4):
            means = [
                sum(float(p[head, q, j]) for q in rows for j in range(*otter_prompt.needle_span))
                / len(rows)
                for p, rows in (
                    (pattern, range(start, stop)),
                    (without, range(start, start + len(null))),
                )
            ]
            assert float(alone[layer, head]) == pytest.approx(means[0], abs=tolerance)
            assert float(found[layer, head]) == pytest.approx(means[0] - means[1], abs=tolerance)


def test_the_contrast_is_a_softmax_over_stretches(llama, otter_prompt) -> None:
    (first, _), stretches = otter_prompt.needle_span, None
    start, _ = question_span(otter_prompt)
    stretches = other_stretches(otter_prompt, start, 3)
    length = otter_prompt.needle_span[1] - first
    assert len(stretches) == 3
    assert all(stop - begin == length and stop <= start for begin, stop in stretches)
    assert all(stop <= first or begin >= first + length for begin, stop in stretches)

    def plant(pattern, hook):
        planted = torch.zeros_like(pattern)
        planted[..., first], planted[..., stretches[0][0]] = 0.6, 0.4
        return planted

    with llama.hooks(fwd_hooks=[("blocks.1.attn.hook_pattern", plant)]):
        found = contrastive_heads(llama, [otter_prompt], n_others=3, temperature=0.1)
    weights = [math.exp(mass / 0.1) for mass in (0.6, 0.4, 0.0, 0.0)]
    assert float(found.mean()[1, 2]) == pytest.approx(weights[0] / sum(weights), abs=1e-5)


def test_all_detectors_find_the_bundled_model_s_heads_but_single_ablation(
    detectors, retrieval
) -> None:
    assert list(detectors) == [
        "position",
        "attention-mass",
        "teacher-forced",
        "query-focused, calibrated",
        "contrastive",
        "write",
        "single-head ablation",
    ]
    for name, scores in detectors.items():
        found = set(scores.top(4))
        if name != "single-head ablation":
            assert found == set(retrieval), name
    # Four heads that do the same thing make up for each other.
    effects = detectors["single-head ablation"].mean()
    assert all(float(effects[head.layer, head.head]) < 0.5 for head in retrieval)
    overlap = compare_kinds(
        {name: detectors[name] for name in ("position", "contrastive")}, k=4, n_resamples=10
    )
    jaccard = overlap.table.set_index("statistic").loc["jaccard"]
    assert jaccard["value"] == 1.0 > jaccard["null_high"]


def test_recall_falls_with_the_heads_that_matter_alone(demo, demo_prompts, retrieval) -> None:
    idle = [Head(3, 0), Head(3, 1), Head(3, 2), Head(3, 4)]
    rankings = {"retrieval": retrieval, "others": idle, "again": list(reversed(retrieval))}
    found = predict_effect(demo, demo_prompts[:2], rankings, ks=(2, 4), n_random=0)
    table = found.to_dataframe().set_index("ranking")
    assert table.loc["retrieval", "k=4"] == table.loc["again", "k=4"] < 0.2
    assert table.loc["others", "k=4"] > 0.9
    assert table.loc["others", "k=0"] == table.loc["retrieval", "k=0"] > 0.9
    mean = (table.loc["retrieval", "k=2"] + table.loc["retrieval", "k=4"]) / 2
    assert table.loc["retrieval", "area"] == pytest.approx(mean)
    assert table.index[0] in ("retrieval", "again")
    assert table["more"].iloc[0] == 0
    # Two orders of the same four heads share the set of four, and the untouched model.
    assert found.conditions["again", 4] == found.conditions["retrieval", 4]
    assert len(set(found.conditions.values())) == 6


def test_bad_inputs_are_refused(demo, demo_prompts, retrieval) -> None:
    bare = dataclasses.replace(demo_prompts[0], tokenizer=None)
    with pytest.raises(ValueError, match="Expected prompts with their tokenizer"):
        query_focused_heads(demo, [bare])
    with pytest.raises(ValueError, match=r"temperature to be a number above 0; found 0\.0"):
        contrastive_heads(demo, demo_prompts, temperature=0.0)
    with pytest.raises(ValueError, match="Expected rankings of 8 different heads or more"):
        predict_effect(demo, demo_prompts, {"few": retrieval})
    with pytest.raises(ValueError, match="Expected rankings of heads by name; found none"):
        predict_effect(demo, demo_prompts, {})
