"""Adapters on some heads: merged, they change these weights and no bit of any other."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_models import TinyModel
from torch import Tensor

from rh_lens.uses import lora_heads, trainable_heads

pytest.importorskip("peft")


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt-neox", "phi3", "deepseek-v3"])
@pytest.mark.parametrize("parts", [("q", "k", "v", "o"), ("q", "o")])
def test_merged_weights_differ_where_the_heads_are(
    name: str,
    parts: tuple[str, ...],
    tiny_model: Callable[[str], TinyModel],
    random_tokens: Tensor,
) -> None:
    model = copy.deepcopy(tiny_model(name).reference)
    before = {n: value.clone() for n, value in model.state_dict().items()}
    heads = ["L0H1", "L2H0"]
    with trainable_heads(model, heads, parts, shared=True) as trainable:
        masks = {n: mask for n, mask in trainable.masks.items() if n.endswith("weight")}
    adapted = lora_heads(model, heads, parts, shared=True, rank=2)
    first = adapted(random_tokens[None]).logits
    assert torch.equal(first, tiny_model(name).reference(random_tokens[None]).logits)
    optimiser = torch.optim.AdamW(
        [p for p in adapted.parameters() if p.requires_grad], lr=0.05, weight_decay=0.5
    )
    for _ in range(3):
        optimiser.zero_grad()
        adapted(random_tokens[None], labels=random_tokens[None]).loss.backward()
        optimiser.step()
    merged = adapted.merge_and_unload().state_dict()
    assert merged.keys() == before.keys()
    moved = {n: value != before[n] for n, value in merged.items()}
    assert {n for n, where in moved.items() if where.any()} == set(masks)
    assert not any((where & ~masks[n]).any() for n, where in moved.items() if n in masks)
    assert all(where[masks[n]].float().mean() > 0.9 for n, where in moved.items() if n in masks)


@pytest.mark.slow
def test_trl_prefers_pairs_with_adapters_on_some_heads(
    tiny_model: Callable[[str], TinyModel], tmp_path: Path
) -> None:
    trl, datasets = pytest.importorskip("trl"), pytest.importorskip("datasets")
    tiny = tiny_model("llama")
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "the old", "chosen": " stone", "rejected": " boats"}\n' * 4)
    rows = datasets.load_dataset(
        "json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )
    model = copy.deepcopy(tiny.reference)
    before = {n: value.clone() for n, value in model.state_dict().items()}
    tokenizer = copy.deepcopy(tiny.bridge.tokenizer)
    tokenizer.pad_token = tokenizer.eos_token
    arguments = trl.DPOConfig(
        output_dir=str(tmp_path), max_steps=2, per_device_train_batch_size=2, report_to=[],
        use_cpu=True, bf16=False, save_strategy="no", disable_tqdm=True, learning_rate=0.01,
    )  # fmt: skip
    adapted = lora_heads(model, "L1H2", parts=("q", "o"), rank=2)
    trl.DPOTrainer(adapted, args=arguments, train_dataset=rows, processing_class=tokenizer).train()
    merged = adapted.merge_and_unload().state_dict()
    moved = {n for n, value in merged.items() if not torch.equal(value, before[n])}
    assert moved == {f"model.layers.1.self_attn.{p}_proj.weight" for p in "qo"}
