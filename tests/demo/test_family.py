"""The bundled family of small models: how it is made, and what its heads have in common."""

import json
from itertools import combinations

import pytest
import torch
from tolerances import double_rounding

from rh_lens.analysis import compare_scores
from rh_lens.demo import DEMO_MODEL_FOLDER, family_scores, load_demo_model
from rh_lens.demo.family import DIALOGUE, FAMILY, Member, matching_layer, train_member
from rh_lens.demo.family_scores import (
    FAMILY_FOLDER,
    FAMILY_SEED,
    LENGTHS,
    family_prompts,
    load_family_scores,
    score_member,
    write_member,
)
from rh_lens.demo.training.curriculum import Stage
from rh_lens.demo.training.held_out import held_out_prompts
from rh_lens.demo.training.tokenizer import train_tokenizer
from rh_lens.prompts import BASE_TEMPLATE

RELATIVES = ("base", "longer", "dialogue")
STRANGERS = ("stranger-1", "stranger-2")
STEPS = (Stage(96, 2, 0.0004, max_facts=1, repeated=0.5, drop_heads=0.0),)


@pytest.fixture(scope="module")
def comparison():
    return compare_scores(load_family_scores())


def test_every_member_has_scores_of_all_its_heads():
    scores = load_family_scores()
    assert set(scores) == {member.name for member in FAMILY}
    for table in scores.values():
        assert table.values.shape[1:] == (4, 8)
        assert ((table.values >= 0) & (table.values <= 1)).all()
    assert sum(path.stat().st_size for path in FAMILY_FOLDER.iterdir()) < 100_000


def test_the_index_says_what_the_scores_were_measured_on():
    members = json.loads((FAMILY_FOLDER / "members.json").read_text(encoding="utf-8"))
    for name, scores in load_family_scores().items():
        described = members[name]
        assert len(scores.trials) == described["n_accepted"] <= described["n_trials"] == 64
        assert [head.label for head in scores.heads()] == described["heads"]
    assert {name for name in members if members[name]["parent"] == "base"} == {"longer", "dialogue"}


def test_relatives_share_their_heads_far_beyond_what_layers_explain(comparison):
    for a, b in combinations(RELATIVES, 2):
        pearson = comparison.pair(a, b)["pearson"]
        assert pearson.value > 0.99
        assert pearson.layer_null[1] < 0.8
        assert comparison.pair(a, b)["jaccard"].value == 1


def test_the_family_and_strangers_have_no_top_head_in_common(comparison):
    for a in RELATIVES:
        for b in STRANGERS:
            pearson = comparison.pair(a, b)["pearson"]
            assert -0.2 < pearson.value < 0
            assert comparison.pair(a, b)["jaccard"].value == 0


def test_strangers_of_one_layer_are_as_alike_as_chance_inside_it(comparison):
    # Both seeds chose layer 1, and there two heads in common.
    pearson = comparison.pair(*STRANGERS)["pearson"]
    assert pearson.value == pytest.approx(0.67, abs=0.01)
    assert pearson.value > pearson.null[1]
    assert pearson.value < pearson.layer_null[1]


def test_every_member_has_a_few_retrieval_heads_in_the_layer_that_its_seed_chose():
    seeds = {member.name: member.seed for member in FAMILY}
    for name, scores in load_family_scores().items():
        heads = scores.heads()
        seed = seeds["base"] if name in RELATIVES else seeds[name]
        assert {head.layer for head in heads} == {matching_layer(seed)}
        assert 4 <= len(heads) <= 5


@pytest.mark.parametrize("n_needles", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_a_member_is_scored_written_and_read_again(tmp_path, monkeypatch, n_needles):
    """The bundled model, on 8 prompts for each needle."""
    monkeypatch.setattr(family_scores, "N_NEEDLES", n_needles)
    result, described = score_member(DEMO_MODEL_FOLDER, BASE_TEMPLATE)
    write_member(tmp_path, "bundled", result.scores, described)
    (read,) = load_family_scores(tmp_path).values()
    assert read.name == "position"
    # The file has four decimals: half a unit of the last, and the rounding of a sum of floats.
    allowed = 0.5e-4 + double_rounding(1)
    torch.testing.assert_close(read.values, result.scores.values, atol=allowed, rtol=0)
    assert described["heads"] == [head.label for head in result.heads()]
    assert described["n_accepted"] >= 7.5 * n_needles


def test_all_members_are_asked_the_same_needles_each_in_its_own_format():
    model = load_demo_model()
    base, dialogue = family_prompts(model, BASE_TEMPLATE), family_prompts(model, DIALOGUE)
    assert {prompt.needle for prompt in base} == {prompt.needle for prompt in dialogue}
    assert {prompt.context_length for prompt in base} == set(LENGTHS)
    assert model.tokenizer.decode(base[0].tokens).endswith("\nAnswer:")
    assert model.tokenizer.decode(dialogue[0].tokens).endswith("\n[librarian]")
    plain = held_out_prompts(
        model.tokenizer, context_lengths=LENGTHS, depths=4, n_needles=8, seed=FAMILY_SEED
    )
    assert [prompt.sha256 for prompt in plain] == [prompt.sha256 for prompt in base]


@pytest.mark.slow
def test_a_child_goes_on_from_its_parents_weights_and_is_trained_once(tmp_path):
    tokenizer = train_tokenizer(vocabulary=2048, max_length=2048, seed=0, n_lines=3000)
    parent = Member("parent", 3, STEPS)
    child = Member("child", 4, STEPS, parent="parent", template=DIALOGUE)
    for member in (parent, child):
        train_member(member, tokenizer, tmp_path, n_filler_sentences=50)
    weights = [tmp_path / name / "weights" / "model.safetensors" for name in ("parent", "child")]
    first, second = (load_demo_model(path.parent).W_E for path in weights)
    assert 0 < (first - second).abs().max() < 0.05
    before = weights[0].stat().st_mtime_ns
    train_member(parent, tokenizer, tmp_path)
    assert weights[0].stat().st_mtime_ns == before


def test_seeds_choose_the_layer_that_leans_towards_matching():
    assert [matching_layer(seed) for seed in range(3)] == [2, 1, 1]
    assert {matching_layer(seed) for seed in range(20)} == {1, 2, 3}
