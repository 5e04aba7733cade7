"""Training on a curriculum of a few steps."""

import json
import os
import shutil

import pandas as pd
import pytest
import torch
from tolerances import assert_close, rounding
from transformers import AutoTokenizer, LlamaForCausalLM

from rh_lens.demo import DEMO_MODEL_FOLDER
from rh_lens.demo.train import SNAPSHOTS, go_on, main, train
from rh_lens.demo.training.architecture import new_model
from rh_lens.demo.training.curriculum import Stage
from rh_lens.demo.training.growth import grow
from rh_lens.demo.training.head_dropout import HeadDropout
from rh_lens.demo.training.loss import answer_starts, exact_share
from rh_lens.demo.training.recipe import SCHOLAR, Closing, Recipe
from rh_lens.demo.training.trainer import Trainer

TINY = (
    Stage(96, 2, 0.001, max_facts=1, repeated=0.5, drop_heads=0.0),
    Stage(128, 2, 0.001, max_facts=2, repeated=0.2, drop_heads=0.2),
)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(DEMO_MODEL_FOLDER)


def make_trainer(tokenizer, seed=0):
    recipe = Recipe("tiny", TINY, n_filler_sentences=50)
    return Trainer(tokenizer, new_model(seed), seed, recipe)


def weights(model):
    return torch.cat([parameter.flatten() for parameter in model.parameters()])


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tokenizer, tmp_path):
    whole = make_trainer(tokenizer)
    assert whole.n_steps == 6 + 4
    for _ in range(4):
        whole.train_step()
    whole.save(tmp_path / "checkpoint.safetensors")
    resumed = make_trainer(tokenizer)
    resumed.load(tmp_path / "checkpoint.safetensors")
    assert resumed.step == 4
    first = [resumed.train_step() for _ in range(4)]
    whole.load(tmp_path / "checkpoint.safetensors")
    assert [whole.train_step() for _ in range(4)] == first
    assert torch.equal(weights(resumed.model), weights(whole.model))


def test_a_run_writes_a_log_and_a_checkpoint(tokenizer, tmp_path):
    trainer = make_trainer(tokenizer)
    start = weights(trainer.model).detach().clone()
    train(trainer, tmp_path)
    assert (tmp_path / "training_log.jsonl").read_text().count("\n") == 1
    again = make_trainer(tokenizer)
    go_on(again, tmp_path)
    assert again.step == 10
    assert torch.equal(weights(again.model), weights(trainer.model))
    assert not torch.equal(weights(trainer.model), start)


def test_a_checkpoint_of_another_seed_is_refused(tokenizer, tmp_path):
    make_trainer(tokenizer, seed=0).save(tmp_path / "checkpoint.safetensors")
    with pytest.raises(ValueError, match="Expected a checkpoint of seed 1"):
        make_trainer(tokenizer, seed=1).load(tmp_path / "checkpoint.safetensors")


class Planted:
    """What runs a program when it is unpickled."""

    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return os.mkdir, (str(self.witness),)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("checkpoint.safetensors", "found a file that is none"),
        ("checkpoint.pt", "found checkpoint.pt, which is not read: a pickle can run code"),
    ],
)
def test_a_planted_pickle_is_not_read(tokenizer, tmp_path, name, message):
    planted = tmp_path / "planted.pt"
    torch.save({"seed": 0, "planted": Planted(tmp_path / "it ran")}, planted)
    shutil.copy(planted, tmp_path / name)
    with pytest.raises(ValueError, match=message):
        go_on(make_trainer(tokenizer), tmp_path)
    assert not (tmp_path / "it ran").exists()
    torch.load(planted, weights_only=False)  # as checkpoints once were read
    assert (tmp_path / "it ran").exists()


def test_links_in_the_folder_are_not_written_through(tokenizer, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("checkpoint.safetensors", "checkpoint.new"):
        (folder / name).symlink_to(mine)
    trainer = make_trainer(tokenizer)
    trainer.save(folder / "checkpoint.safetensors")
    assert mine.read_text() == "mine"
    assert not (folder / "checkpoint.safetensors").is_symlink()
    (folder / "training_log.jsonl").symlink_to(mine)
    with pytest.raises(ValueError, match=r"training_log\.jsonl is a link"):
        train(trainer, folder)
    assert mine.read_text() == "mine"


def test_the_seed_chooses_the_weights_and_the_heads_that_lean():
    def leaning(model: LlamaForCausalLM) -> list[int]:
        keys = model.model.layers[0].self_attn.k_proj.weight.reshape(4, -1)
        return keys.norm(dim=1).argsort().tolist()

    assert torch.equal(weights(new_model(3)), weights(new_model(3)))
    assert len({tuple(leaning(new_model(seed))) for seed in range(3)}) > 1


def test_head_dropout_silences_whole_heads_in_training_only():
    model = new_model(0)
    dropout = HeadDropout(model, layers=(0,))
    attention = model.model.layers[0].self_attn
    seen = {}
    attention.o_proj.register_forward_pre_hook(lambda module, args: seen.update(z=args[0]))
    tokens = torch.randint(3, 2048, (64, 5))
    dropout.draw(64, heads=0.25)
    model.train()(tokens)
    silent = seen["z"].unflatten(-1, (8, 32)).abs().sum(dim=(1, 3)) == 0
    assert 0.15 < silent.float().mean() < 0.35
    model.eval()(tokens)
    assert not (seen["z"].unflatten(-1, (8, 32)).abs().sum(dim=(1, 3)) == 0).any()


def test_an_answer_is_exact_when_each_of_its_tokens_is_right():
    is_answer = torch.tensor([[0, 1, 1, 0, 1], [1, 0, 0, 1, 1]]).bool()
    assert answer_starts(is_answer).int().tolist() == [[0, 1, 0, 0, 1], [1, 0, 0, 1, 0]]
    right = torch.tensor([True, False, True, True, True, True])
    assert exact_share(right, is_answer) == 0.75


def test_a_recipe_can_be_shorter_or_without_what_it_silences():
    short = SCHOLAR.shortened(2.0)
    assert sum(stage.million_tokens for stage in short.stages) == pytest.approx(2.0)
    longer = zip(SCHOLAR.curriculum, short.curriculum, strict=True)
    assert {round(a.million_tokens / b.million_tokens, 6) for a, b in longer} == {15.65}
    plain = SCHOLAR.without_dropout().stages
    assert {(stage.drop_heads, stage.drop_attention) for stage in plain} == {(0.0, 0.0)}
    assert [stage.alone for stage in plain] == [stage.alone for stage in SCHOLAR.stages]


def test_closings_begin_with_a_new_optimiser_and_a_new_rise_of_its_rate(tokenizer):
    closings = (Closing(TINY[:1], 1e-3), Closing(TINY[1:], 2e-3))
    recipe = Recipe("tiny", TINY, n_filler_sentences=50, closings=closings)
    trainer = Trainer(tokenizer, new_model(0), 0, recipe)
    assert (trainer.n_steps, recipe.first_steps) == (20, (10, 16, 20))
    seen = []
    for _ in range(18):
        trainer.train_step()
        steps = {float(state["step"]) for state in trainer.optimizer.state.values()}
        seen.append((*steps, trainer.optimizer.param_groups[0]["lr"]))
    assert [steps for steps, _ in seen] == [*range(1, 11), *range(1, 7), 1, 2]
    # All are shorter than the warm-up, so that the rate only rises, three times.
    rates = [*(2e-5 * n for n in range(1, 11)), *(1e-5 * n for n in range(1, 7)), 2e-5, 4e-5]
    assert [rate for _, rate in seen] == pytest.approx(rates)
    assert trainer.n_tokens == 6 * 192 + 4 * 256 + 6 * 192 + 2 * 256


def test_the_rate_of_a_closing_falls_from_the_warm_up_on():
    first, second, end = SCHOLAR.first_steps
    assert SCHOLAR.learning_rate(first - 1) == pytest.approx(5e-5, rel=1e-3)
    assert SCHOLAR.learning_rate(first) == 1e-5
    assert SCHOLAR.learning_rate(first + 99) == 1e-3
    middle = SCHOLAR.learning_rate((first + second) // 2)
    assert middle == pytest.approx((1e-3 + 5e-5) / 2, rel=1e-3)
    assert SCHOLAR.learning_rate(second - 1) == pytest.approx(5e-5, rel=1e-3)
    assert SCHOLAR.learning_rate(second + 99) == 6e-4
    assert SCHOLAR.learning_rate(end - 1) == pytest.approx(5e-5, rel=1e-3)
    assert {0, first, second, end} <= SCHOLAR.moments
    assert len(SCHOLAR.moments) == 17


def test_a_model_grows_without_changing_its_logits():
    small = new_model(0)
    tokens = torch.randint(3, 2048, (2, 32))
    grown = grow(small, 0, None)
    assert grown.config.num_hidden_layers == 8
    tolerance = rounding(small.config.intermediate_size, 8)
    with torch.no_grad():
        assert_close(grown(tokens).logits, small(tokens).logits, tolerance)


def group_of_heads(layer: torch.nn.Module, group: int) -> dict[str, torch.Tensor]:
    attention = layer.self_attn
    rows = {name: getattr(attention, f"{name}_proj").weight for name in "qkv"}
    rows["o"] = attention.o_proj.weight.T
    return {name: weight.unflatten(0, (4, -1))[group] for name, weight in rows.items()}


def test_with_a_lean_one_matching_group_moves_a_layer_down_and_three_later_ones_lean():
    small = new_model(0)
    grown = grow(small, 1, 2)
    layers, plain = grown.model.layers, grow(small, 1, None).model.layers
    found = [
        (place, group)
        for place in range(8)
        for group in range(4)
        if any(
            not torch.equal(one, other)
            for one, other in zip(
                group_of_heads(layers[place], group).values(),
                group_of_heads(plain[place], group).values(),
                strict=True,
            )
        )
    ]
    moved = next(group for place, group in found if place == 3)
    # The group that moved, the place it left, and those that lean.
    assert [place for place, _ in found] == [3, 4, 5, 5, 7]
    assert found[1] == (4, moved)
    old = group_of_heads(small.model.layers[2], moved)
    for name, weight in group_of_heads(layers[3], moved).items():
        assert torch.equal(weight, old[name])
    assert torch.equal(
        layers[3].input_layernorm.weight, small.model.layers[2].input_layernorm.weight
    )
    # What is new writes nothing.
    for place, group in found[1:]:
        assert not group_of_heads(layers[place], group)["o"].any()


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "many"])
def test_a_budget_that_is_no_number_above_zero_is_refused(capsys, given):
    with pytest.raises(SystemExit):
        main(["scholar", "--million-tokens", given])
    assert f"expected a number above 0; found '{given}'" in capsys.readouterr().err


@pytest.mark.slow
def test_both_models_are_trained_by_one_command(tmp_path):
    """Everything but the evaluation, in seconds: the second model grows out of the first one."""
    main(["scholar", "--quick", "--snapshots", "--out", str(tmp_path), "--threads", "1"])

    def read(folder):
        return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)

    first, second = (read(tmp_path / name / "weights") for name in ("finder", "scholar"))
    assert (first.config.num_hidden_layers, second.config.num_hidden_layers) == (4, 8)
    assert sum(parameter.numel() for parameter in second.parameters()) == 4_460_800
    moments = sorted((tmp_path / "scholar" / SNAPSHOTS).iterdir())
    described = [json.loads((moment / "moment.json").read_text()) for moment in moments]
    assert described[0] == {"step": 0, "tokens": 0}
    assert described[-1] == {"step": 16, "tokens": 16 * 2 * 192}
    table = pd.read_csv(tmp_path / "scholar" / "snapshots.csv")
    assert table["step"].unique().tolist() == [moment["step"] for moment in described]
    assert len(table) == 64 * len(described)
    # What is put aside at step 0 is the first model, grown.
    grown = read(moments[0] / "weights")
    for place in (0, 1, 3):
        old, new = first.model.layers[place], grown.model.layers[2 * place]
        assert torch.equal(new.self_attn.q_proj.weight, old.self_attn.q_proj.weight)


def test_dropout_of_attention_leaves_the_first_layer_alone():
    model = new_model(0)
    dropout = HeadDropout(model, layers=range(4))
    dropout.draw(200, heads=0.0, attention=0.25)
    silent = ~dropout.keep.any(dim=-1)
    assert silent.sum(dim=1)[0] == 0
    assert 30 < silent.sum(dim=1)[1:].float().mean() < 70
    assert (dropout.keep.all(dim=-1) | silent).all()
    dropout.draw(200, heads=0.0)
    assert dropout.keep is None
