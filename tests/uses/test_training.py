"""Training some heads: these weights move as they should, and no bit of any other."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import ARCHITECTURES, HYBRIDS, OTHERS, TinyModel, make_tiny_model
from torch import Tensor

from rh_lens.heads import Head
from rh_lens.uses import trainable_heads

EVERYDAY = ("llama", "gpt2", "gpt-neox", "phi3", "deepseek-v3")
EVERY = [
    pytest.param(name, marks=[] if name in EVERYDAY else [pytest.mark.slow])
    for name in {**ARCHITECTURES, **HYBRIDS, **OTHERS}
]
OUTPUT = ("o_proj", "out_proj", "dense", "c_proj")


def first_head(model: Any) -> Head:
    layer = {"lfm2": 1, "bamba": 1, "qwen3_next": 1}.get(model.config.model_type, 0)
    return Head(layer, 2)


def train(model: Any, tokens: Tensor, groups: Any, n_steps: int = 2, **options: Any) -> None:
    """AdamW with a decay that moves every number that is not 0."""
    optimiser = torch.optim.AdamW(groups, **{"lr": 0.05, "weight_decay": 0.5} | options)
    for _ in range(n_steps):
        optimiser.zero_grad()
        model(tokens[None], labels=tokens[None]).loss.backward()
        optimiser.step()


@pytest.fixture
def outputs_of(random_tokens: Tensor) -> Callable[[Any, int], Tensor]:
    """Outputs of all heads of a layer, before the output projection."""

    @torch.no_grad()
    def get(model: Any, layer: int) -> Tensor:
        seen: list[Tensor] = []
        modules = [
            module
            for name, module in model.named_modules()
            if f".{layer}." in name
            and name.endswith(OUTPUT)
            and "att" in name
            and "lin" not in name
        ]
        (projection,) = modules
        handle = projection.register_forward_pre_hook(lambda _, args: seen.append(args[0][0]))
        model(random_tokens[None])
        handle.remove()
        return seen[0].unflatten(-1, (4, -1))

    return get


@pytest.mark.parametrize("name", EVERY)
def test_exactly_these_weights_move_and_they_are_the_heads(
    name: str,
    tiny_model: Callable[[str], TinyModel],
    random_tokens: Tensor,
    outputs_of: Callable[[Any, int], Tensor],
) -> None:
    model = copy.deepcopy(tiny_model(name).reference)
    head = first_head(model)
    before = {n: value.clone() for n, value in model.state_dict().items()}
    z_before = outputs_of(model, head.layer)
    with trainable_heads(model, head, shared=True) as trainable:
        masks, table = trainable.masks, trainable.to_dataframe()
        train(model, random_tokens, trainable.parameter_groups())
    moved = {n: value != before[n] for n, value in model.state_dict().items()}
    assert {n for n, where in moved.items() if where.any()} == set(masks)
    assert all(torch.equal(moved[n], mask) for n, mask in masks.items())
    assert trainable.n_parameters == sum(int(where.sum()) for where in moved.values())
    # Heads that read other keys and values compute what they did, and this one does not.
    sharing = {Head.parse(label).head for row in table["also_read_by"] for label in row.split()}
    others = [h for h in range(4) if h != head.head and h not in sharing]
    z_after = outputs_of(model, head.layer)
    assert len(others) == (3 if not sharing else 2)
    assert torch.equal(z_after[:, others], z_before[:, others])
    assert not torch.equal(z_after[:, head.head], z_before[:, head.head])


def test_the_numbers_are_those_of_an_optimiser_that_has_only_these(
    tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    model = copy.deepcopy(tiny_model("llama").reference)
    other = copy.deepcopy(model)
    with trainable_heads(model, "L1H2", parts=["q", "o"]) as trainable:
        train(model, random_tokens, trainable.parameter_groups(), n_steps=3)
    attention = other.model.layers[1].self_attn
    views = [attention.q_proj.weight[16:24], attention.o_proj.weight[:, 16:24]]
    rows = [torch.nn.Parameter(view.detach().clone()) for view in views]
    optimiser = torch.optim.AdamW(rows, lr=0.05, weight_decay=0.5)
    for _ in range(3):
        other.zero_grad()
        other(random_tokens[None], labels=random_tokens[None]).loss.backward()
        rows[0].grad = attention.q_proj.weight.grad[16:24].clone()
        rows[1].grad = attention.o_proj.weight.grad[:, 16:24].clone()
        optimiser.step()
        with torch.no_grad():
            attention.q_proj.weight[16:24] = rows[0]
            attention.o_proj.weight[:, 16:24] = rows[1]
    expected = other.state_dict()
    assert all(torch.equal(value, expected[n]) for n, value in model.state_dict().items())


def test_shared_keys_and_values_are_named_and_stay(
    tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    model = copy.deepcopy(tiny_model("llama").reference)
    with trainable_heads(model, ["L1H2", "L1H0", "L1H1"]) as trainable:
        table = trainable.to_dataframe().set_index(["part", "heads"])
        names = set(trainable.masks)
    assert table.loc[("k", "L1H2"), ["also_read_by", "moves"]].tolist() == ["L1H3", False]
    assert table.loc[("v", "L1H0 L1H1"), ["also_read_by", "moves"]].tolist() == ["", True]
    assert len(names) == 4
    # Queries and outputs of three heads, one group of keys and of values: 8 x 32 each.
    assert trainable.n_parameters == (3 + 3 + 1 + 1) * 8 * 32
    assert repr(trainable).startswith("TrainableHeads(2,048 of 43,744 parameters, in 4 ")
    with (
        pytest.raises(ValueError, match="found only keys and values that other heads read, too"),
        trainable_heads(model, "L1H2", parts=["k", "v"]),
    ):
        pass


@pytest.mark.parametrize(
    ("optimiser", "options"),
    [("SGD", {"momentum": 0.5}), ("Adam", {}), ("RMSprop", {"momentum": 0.5})],
)
def test_other_optimisers_move_nothing_else_at_any_step(
    optimiser: str,
    options: dict[str, float],
    tiny_model: Callable[[str], TinyModel],
    random_tokens: Tensor,
) -> None:
    model = copy.deepcopy(tiny_model("llama").reference)
    before = {n: value.clone() for n, value in model.state_dict().items()}
    with trainable_heads(model, "L1H2", shared=True) as trainable:
        groups = trainable.parameter_groups()
        stepping = getattr(torch.optim, optimiser)(groups, lr=0.01, weight_decay=0.3, **options)
        for _ in range(2):
            model(random_tokens[None], labels=random_tokens[None]).loss.backward()
            stepping.step()
            for n, value in model.state_dict().items():
                where = trainable.masks.get(n, torch.zeros_like(value, dtype=torch.bool))
                assert torch.equal(value != before[n], where)


def test_afterwards_everything_trains_as_before(
    tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    model = copy.deepcopy(tiny_model("llama").reference)
    model.lm_head.weight.requires_grad_(False)
    with trainable_heads(model, "L1H2") as trainable:
        asking = {n for n, value in model.named_parameters() if value.requires_grad}
        assert asking == set(trainable.masks)
    frozen = {n for n, value in model.named_parameters() if not value.requires_grad}
    assert frozen == {"lm_head.weight"}
    assert all(value.grad is None for value in model.parameters())
    before = model.model.layers[1].self_attn.q_proj.weight.clone()
    train(model, random_tokens, model.parameters(), n_steps=1)
    assert (model.model.layers[1].self_attn.q_proj.weight != before).all()


def test_a_bridge_trains_where_its_weights_are_those_of_hugging_face(
    tiny_tokenizer: Any, random_tokens: Tensor
) -> None:
    tiny = make_tiny_model("llama", tiny_tokenizer)
    with trainable_heads(tiny.bridge, "L1H2") as trainable:
        optimiser = torch.optim.AdamW(trainable.parameter_groups(), lr=0.05, weight_decay=0.5)
        tiny.bridge(random_tokens[None], return_type="loss").backward()
        optimiser.step()
    n_all = sum(value.numel() for value in tiny.reference.parameters())
    assert f" of {n_all:,} parameters" in repr(trainable)
    now, before = tiny.bridge.original_model.state_dict(), tiny.reference.state_dict()
    for n, value in now.items():
        plain = n.replace("_original_component.", "")
        if plain in before:
            where = trainable.masks.get(plain, torch.zeros_like(value, dtype=torch.bool))
            assert torch.equal(value != before[plain], where)
    gpt2 = make_tiny_model("gpt2", tiny_tokenizer)
    with (
        pytest.raises(ValueError, match="found a bridge of gpt2, which computes with copies"),
        trainable_heads(gpt2.bridge, "L0H0"),
    ):
        pass


@pytest.mark.slow
def test_with_the_trainer_of_transformers(
    tiny_model: Callable[[str], TinyModel], random_tokens: Tensor, tmp_path: Path
) -> None:
    from transformers import Trainer, TrainingArguments

    model = copy.deepcopy(tiny_model("qwen2").reference)
    before = {n: value.clone() for n, value in model.state_dict().items()}
    rows = [{"input_ids": random_tokens, "labels": random_tokens}] * 6
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=3, per_device_train_batch_size=2, weight_decay=0.5,
        learning_rate=0.01, report_to=[], use_cpu=True, save_strategy="no", max_grad_norm=0.1,
        disable_tqdm=True,
    )  # fmt: skip
    with trainable_heads(model, ["L0H1", "L2H3"], shared=True) as trainable:
        Trainer(model, arguments, train_dataset=rows).train()
    for n, value in model.state_dict().items():
        where = trainable.masks.get(n, torch.zeros_like(value, dtype=torch.bool))
        assert torch.equal(value.cpu() != before[n], where)
