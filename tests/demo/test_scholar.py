"""The second bundled model does what its card says."""

import json

import pytest

from rh_lens.analysis import Emergence
from rh_lens.demo import demo_models, load_demo_model, snapshots
from rh_lens.demo.abilities import ABILITIES, ability_task
from rh_lens.demo.training.held_out import held_out_prompts
from rh_lens.demo.training.recipe import SCHOLAR
from rh_lens.detection import detect_retrieval_heads
from rh_lens.evaluation.tasks import evaluate_task
from rh_lens.runs import describe_model

FOLDER = demo_models()["scholar"]
EVALUATION = json.loads((FOLDER / "evaluation.json").read_text(encoding="utf-8"))
SCORES = EVALUATION["scores"]["position"]


@pytest.fixture(scope="module")
def model():
    return load_demo_model("scholar")


def test_the_card_is_about_these_weights(model):
    assert describe_model(model, "scholar") == EVALUATION["model"]
    assert (model.cfg.n_layers, model.cfg.n_heads) == (8, 8)
    assert EVALUATION["model"]["n_parameters"] == 4_460_800


@pytest.mark.parametrize("name", ["known by heart", "known, choices"])
def test_it_knows_its_world(model, name):
    """The card says how often on 200 items; these are the first of them."""
    found = evaluate_task(model, ability_task(name, 12), progress=False).to_dataframe()
    assert found[ABILITIES[name].score[0]].mean() >= 0.75


@pytest.mark.parametrize("name", ["reading", "not stated", "two hops, written", "sums, written"])
@pytest.mark.slow
def test_it_reads_and_reckons_as_well_as_its_card_says(model, name):
    """Other items than the card's: the difference of both shares within 4 standard errors."""
    told = EVALUATION["tasks"][name]["score"]
    found = evaluate_task(model, ability_task(name, 50, seed=5), progress=False).to_dataframe()
    spread = (told * (1 - told) * (1 / 50 + 1 / 200)) ** 0.5
    assert abs(found[ABILITIES[name].score[0]].mean() - told) <= 4 * spread


def test_its_heads_retrieve_in_three_layers_and_most_do_nothing(model):
    prompts = held_out_prompts(
        model.tokenizer, context_lengths=(192,), depths=2, n_needles=4, seed=50_002
    )
    scores = detect_retrieval_heads(model, prompts, progress=False).scores.mean()
    layers = {layer for layer, row in enumerate(scores.tolist()) for one in row if one >= 0.25}
    assert layers == {3, 4, 5}
    assert (scores == 0).float().mean() >= 0.4
    told = {layer for layer, row in enumerate(SCORES) for one in row if one >= 0.1}
    assert told == {3, 4, 5}


def test_its_training_can_be_looked_at():
    found = snapshots("scholar")
    assert isinstance(found, Emergence)
    table = found.moment_table()
    assert table["step"].iloc[0] == 0
    n_steps = sum(stage.n_steps for stage in SCHOLAR.stages)
    assert table["step"].iloc[-1] == n_steps
    assert 14 <= len(table) <= 18
    assert len(found.to_dataframe()) == 64 * len(table)
