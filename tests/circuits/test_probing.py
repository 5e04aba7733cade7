"""Features of heads and probes on them: planted features, shuffled labels, units held out."""

import numpy as np
import pytest
import torch
from tolerances import assert_close, model_rounding, weight_rounding

from rh_lens.circuits import (
    HeadFeatures,
    firing_features,
    head_features,
    make_pairs,
    presence_features,
    probe_heads,
    statement_features,
    success_features,
    truthfulness_heads,
)
from rh_lens.detection import detect_retrieval_heads
from rh_lens.evaluation import needle_recall
from rh_lens.heads import Head


def made_up(n_units: int, n_each: int, *, signal: float, seed: int = 0):
    """Features of two heads; the first coordinate of L1H0 has the label, units shift the rest."""
    generator = torch.Generator().manual_seed(seed)
    units = [f"needle {unit}" for unit in range(n_units) for _ in range(n_each)]
    labels = torch.rand(len(units), generator=generator) < 0.5
    values = torch.randn(len(units), 8, generator=generator)
    values[:, 4] += signal * (labels.float() * 2 - 1)
    columns = (*[Head(0, 0)] * 4, *[Head(1, 0)] * 4)
    names = tuple(f"{head} z {i % 4}" for i, head in enumerate(columns))
    return HeadFeatures(values, columns, names, "z", tuple(units)), labels


def test_a_planted_feature_is_read_off_and_shuffled_labels_are_not() -> None:
    features, labels = made_up(12, 4, signal=20.0)
    found = probe_heads(features, labels, n_splits=3, n_shuffles=9)
    assert found.accuracy.tolist() == [1.0] * 3
    # Chance is 0.5; 27 splits of some 14 examples have a standard error below 0.03.
    assert abs(found.shuffled.mean() - 0.5) < 0.1
    assert found.selectivity == pytest.approx(1 - found.shuffled.mean())
    assert found.p == 1 / 10
    alone = probe_heads(features.of("L0H0"), labels, n_splits=3, n_shuffles=9)
    assert abs(alone.accuracy.mean() - 0.5) < 0.2
    assert alone.p > 0.1


def test_whole_units_are_held_out() -> None:
    # Each unit has a direction of its own that tells its label: of no use on other units.
    n_units, n_each = 24, 6
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(n_units, 1, 40, generator=generator).expand(-1, n_each, -1).flatten(0, 1)
    labels = (torch.arange(n_units) % 2 == 0).repeat_interleave(n_each)
    units = [f"needle {i // n_each}" for i in range(n_units * n_each)]
    columns, names = (Head(0, 0),) * 40, tuple(map(str, range(40)))
    features = HeadFeatures(values.clone(), columns, names, "z", tuple(units))
    by_unit = probe_heads(features, labels, n_shuffles=0)
    leaky = HeadFeatures(values.clone(), columns, names, "z", tuple(map(str, range(len(labels)))))
    assert by_unit.accuracy.mean() < 0.75
    assert probe_heads(leaky, labels, n_shuffles=0).accuracy.mean() == 1.0
    assert np.isnan(by_unit.selectivity)
    assert np.isnan(by_unit.p)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "bamba"])
def test_features_equal_one_whole_pass(tiny_model, random_tokens, architecture) -> None:
    model = tiny_model(architecture)
    bridge, layers = model.bridge, [layer for layer, _ in model.bridge.blocks_with("attn")]
    heads = [Head(layers[-1], 2), Head(layers[-1], 0)]
    kept = {}

    def keep(z, hook):
        kept["z"] = z[0].clone()

    point = f"blocks.{layers[-1]}.attn.hook_z"
    with torch.inference_mode(), bridge.hooks(fwd_hooks=[(point, keep)]):
        bridge(random_tokens[None], return_type=None)
    tolerance = model_rounding(bridge, 40)
    found = head_features(bridge, [random_tokens, random_tokens[:30]], heads)
    assert_close(found.values[0], kept["z"].reshape(40, 4, 8)[-1, [2, 0]].flatten(), 3 * tolerance)
    assert found.columns == (heads[0],) * 8 + (heads[1],) * 8
    assert found.names[0] == f"{heads[0]} z 0"
    assert found.units == ("prompt 0", "prompt 1")
    pattern = head_features(bridge, [random_tokens], heads, at="pattern")
    assert pattern.names[:3] == tuple(f"{heads[0]} {x}" for x in ("largest", "entropy", "sink"))
    _, attention = model.reference_pass(random_tokens)
    row = attention.reshape(len(layers), 4, 40, 40)[-1, 2, -1]
    expected = torch.stack([row.max(), torch.special.entr(row).sum(), row[0]])
    allowed = 40 * weight_rounding(bridge, 40)
    torch.testing.assert_close(pattern.values[0, :3], expected, rtol=0, atol=allowed)


def test_residual_features_are_one_stretch_a_layer(llama, otter_prompt) -> None:
    found = head_features(llama, [otter_prompt], ["L1H0", "L1H3", "L2H1"], at="residual")
    assert found.values.shape == (1, 64)
    assert found.columns[0] == Head(1, 0)
    assert found.columns[-1] == Head(2, 1)
    assert found.names[32] == "layer 2 residual 0"
    assert found.units == (otter_prompt.needle.name,)


def test_pattern_features_of_a_needle_prompt_hold_the_needle_s_attention(
    llama, otter_prompt
) -> None:
    stop = otter_prompt.answer_span[1]

    def plant(pattern, hook):
        planted = torch.zeros_like(pattern)
        planted[..., 0] = 0.25
        planted[..., stop - 1] += 0.75
        return planted

    with llama.hooks(fwd_hooks=[("blocks.1.attn.hook_pattern", plant)]):
        found = head_features(llama, [otter_prompt], "L1H2", at="pattern")
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert found.values[0].tolist() == pytest.approx([0.75, entropy, 0.25, 0.75], abs=1e-6)
    assert found.to_dataframe().columns.tolist() == [
        "unit",
        *(f"L1H2 {name}" for name in ("largest", "entropy", "sink", "needle")),
    ]


def test_truthfulness_is_a_head_s_own_accuracy() -> None:
    features, labels = made_up(12, 4, signal=20.0)
    scores = truthfulness_heads(features, labels.tolist())
    assert scores.values.shape == (5, 2, 1)
    assert float(scores.mean()[1, 0]) == 1.0
    alone = probe_heads(features.of("L0H0"), labels, n_shuffles=0)
    assert float(scores.mean()[0, 0]) == pytest.approx(alone.accuracy.mean())


def test_statements_end_with_the_own_and_another_needle_s_answer(demo, demo_prompts) -> None:
    features, labels = statement_features(demo, demo_prompts[:2])
    assert labels == [True, False, True, False]
    names = [prompt.needle.name for prompt in demo_prompts[:2]]
    assert features.units == (names[0], names[0], names[1], names[1])
    assert features.values.shape == (4, 4 * 8 * 32)


def test_the_three_questions_have_their_labels(demo, demo_prompts, retrieval) -> None:
    prompts = demo_prompts[:2]
    features, succeeds = success_features(demo, prompts, retrieval)
    assert succeeds == needle_recall(demo, prompts, progress=False).answers["retrieved"].tolist()
    assert features.values.shape == (2, 4 * 32)
    result = detect_retrieval_heads(demo, prompts, progress=False)
    _, fires = firing_features(demo, result, "L2H4", "L2H4")
    assert fires == [True, True]
    _, idle = firing_features(demo, result, (3, 0), "L2H4")
    assert idle == [False, False]
    pairs = make_pairs(prompts, "needle").pairs
    found, present = presence_features(demo, pairs, "L2H4")
    assert present == [True, False] * len(pairs)
    alone = head_features(demo, [pairs[0].corrupted], "L2H4")
    assert_close(found.values[1], alone.values[0], 3 * model_rounding(demo, 128))
    assert found.units[:2] == (prompts[0].needle.name,) * 2
    other = make_pairs(prompts, "answer").pairs
    with pytest.raises(ValueError, match="the corruption of a pair"):
        presence_features(demo, other)


def test_scikit_learn_takes_the_features_as_they_are() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    selection = pytest.importorskip("sklearn.model_selection")
    features, labels = made_up(12, 4, signal=20.0)
    scores = selection.cross_val_score(
        linear_model.LogisticRegression(),
        features.values.numpy(),
        labels.numpy(),
        groups=features.units,
        cv=selection.GroupKFold(4),
    )
    assert scores.tolist() == [1.0] * 4


def test_bad_inputs_are_refused(llama, random_tokens) -> None:
    features, labels = made_up(6, 2, signal=1.0)
    with pytest.raises(ValueError, match="Expected labels, one for each of 12 examples; found 3"):
        probe_heads(features, labels[:3])
    with pytest.raises(ValueError, match="labels that are True in two units or more"):
        probe_heads(features, [place == 0 for place in range(12)])
    with pytest.raises(ValueError, match="Expected heads among"):
        features.of("L3H3")
    with pytest.raises(ValueError, match="Expected heads to take features of; found none"):
        head_features(llama, [random_tokens], [])
