"""Checkpoints whose heads are silent: the logits of the hooks, and the other weights bit by bit."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import ARCHITECTURES, HYBRIDS, LENGTH_DEPENDENT, OTHERS, TinyModel, make_tiny_model
from tolerances import assert_close, assert_differs, model_rounding
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
)

from rh_lens.heads import Head
from rh_lens.interventions import zero_ablation
from rh_lens.uses import save_ablated

EVERYDAY = ("llama", "gpt2", "gpt-neox", "phi3", "mixtral", "deepseek-v3")
EVERY = [
    pytest.param(name, marks=[] if name in EVERYDAY else [pytest.mark.slow])
    for name in {**ARCHITECTURES, **HYBRIDS, **OTHERS, **LENGTH_DEPENDENT}
]


def read(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")


def heads_of(tiny: TinyModel) -> list[Head]:
    """Two of a layer, one of them in the second key-value group, and one of the last layer."""
    layers = [index for index, _ in tiny.bridge.blocks_with("attn")]
    return sorted({Head(layers[0], 1), Head(layers[0], 2), Head(layers[-1], 3)})


@pytest.mark.parametrize("name", EVERY)
@torch.no_grad()
def test_logits_are_those_of_the_hooks(
    name: str,
    tiny_model: Callable[[str], TinyModel],
    tiny_tokenizer: PreTrainedTokenizerBase,
    random_tokens: Tensor,
    tmp_path: Path,
) -> None:
    # Frequencies that depend on the length remember the longest prompt of earlier tests.
    fresh = name in LENGTH_DEPENDENT
    tiny = make_tiny_model(name, tiny_tokenizer) if fresh else tiny_model(name)
    heads, tolerance = heads_of(tiny), model_rounding(tiny.bridge, 40)
    before = {name: value.clone() for name, value in tiny.reference.state_dict().items()}
    of_bridge = read(save_ablated(tiny.bridge, heads, tmp_path / "bridge"))
    of_plain = read(save_ablated(tiny.reference, heads, tmp_path / "plain"))
    found = of_plain(random_tokens[None]).logits[0]
    assert torch.equal(of_bridge(random_tokens[None]).logits[0], found)
    with tiny.bridge.hooks(fwd_hooks=zero_ablation(heads, model=tiny.bridge)):
        hooked = tiny.bridge(random_tokens[None])[0]
    assert_close(found, hooked, tolerance)
    assert_differs(found, tiny.reference_pass(random_tokens)[0], tolerance)
    changed = [n for n, value in of_plain.state_dict().items() if not torch.equal(value, before[n])]
    assert len(changed) == len({head.layer for head in heads})
    # d_head columns of the residual width for each head, and nothing that was 0 before.
    n_zero = sum(
        int((of_plain.state_dict()[n] == 0).sum() - (before[n] == 0).sum()) for n in changed
    )
    assert n_zero == len(heads) * 8 * 32
    assert all(torch.equal(value, before[n]) for n, value in tiny.reference.state_dict().items())


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt-neox", "phi3"])
@torch.no_grad()
def test_logits_are_to_the_bit_those_of_a_model_whose_head_outputs_are_zeroed(
    name: str, tiny_model: Callable[[str], TinyModel], random_tokens: Tensor, tmp_path: Path
) -> None:
    """0 times an output is an output of 0 times a weight: the same terms in the same sums."""
    model = tiny_model(name).reference
    silent = read(save_ablated(model, "L1H2", tmp_path / "silent"))
    path = {"gpt2": "transformer.h.1.attn.c_proj", "gpt-neox": "gpt_neox.layers.1.attention.dense"}
    projection = model.get_submodule(path.get(name, "model.layers.1.self_attn.o_proj"))

    def hook(module: Any, arguments: tuple[Tensor]) -> tuple[Tensor]:
        z = arguments[0].clone()
        z[..., 16:24] = 0
        return (z,)

    handle = projection.register_forward_pre_hook(hook)
    hooked = model(random_tokens[None]).logits
    handle.remove()
    assert torch.equal(silent(random_tokens[None]).logits, hooked)


def test_no_heads_write_the_model_as_it_is(
    tiny_model: Callable[[str], TinyModel], tmp_path: Path
) -> None:
    tiny = tiny_model("llama")
    folder = save_ablated(tiny.bridge, [], tmp_path / "same")
    text = "the quiet violet lantern"
    read_back = AutoTokenizer.from_pretrained(folder)
    assert read_back.encode(text) == tiny.bridge.tokenizer.encode(text)
    expected = tiny.reference.state_dict()
    found = read(folder).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert not hasattr(read(folder).config, "silenced_heads")


def test_tied_embeddings_and_half_precision_stay(
    tiny_model: Callable[[str], TinyModel], tmp_path: Path
) -> None:
    config = copy.deepcopy(tiny_model("llama").reference.config)
    config.tie_word_embeddings = True
    model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    found = AutoModelForCausalLM.from_pretrained(
        save_ablated(model, ["L0H1", "L0H1"], tmp_path / "tied"), dtype="auto"
    )
    assert found.dtype == torch.bfloat16
    assert found.lm_head.weight is found.model.embed_tokens.weight
    assert torch.equal(found.lm_head.weight, model.lm_head.weight)
    assert found.config.silenced_heads == ["L0H1"]


def test_what_is_not_known_to_be_right_is_refused(
    tiny_model: Callable[[str], TinyModel],
    tiny_tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "silent"
    gpt2 = make_tiny_model("gpt2", tiny_tokenizer)
    with torch.no_grad():
        gpt2.bridge.blocks[0].attn.q.weight.data = gpt2.bridge.blocks[0].attn.q.weight * 2
    with pytest.raises(ValueError, match=r"found others in the bridge than in .*0.attn.c_attn"):
        save_ablated(gpt2.bridge, "L0H0", folder)
    gpt2.bridge.enable_compatibility_mode()
    with pytest.raises(ValueError, match="found weights that TransformerLens has processed"):
        save_ablated(gpt2.bridge, "L0H0", folder)
    config = AutoConfig.for_model("codegen", n_embd=32, n_layer=1, n_head=4, rotary_dim=4)
    with pytest.raises(ValueError, match=r"found 'codegen'\. Known are bamba, bloom"):
        save_ablated(AutoModelForCausalLM.from_config(config), "L0H0", folder)
    hybrid = tiny_model("lfm2").reference
    with pytest.raises(ValueError, match=r"in layers \[1\] of 4 heads; found L0H0"):
        save_ablated(hybrid, "L0H0", folder)
    folder.mkdir()
    with pytest.raises(FileExistsError, match="nothing is written over"):
        save_ablated(hybrid, "L1H0", folder)
    assert list(tmp_path.iterdir()) == [folder]
    assert list(folder.iterdir()) == []


def test_a_write_that_fails_leaves_nothing(
    tiny_model: Callable[[str], TinyModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = tiny_model("llama")

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(type(tiny.bridge.tokenizer), "save_pretrained", full)
    with pytest.raises(OSError, match="No space left"):
        save_ablated(tiny.bridge, "L0H0", tmp_path / "silent")
    assert list(tmp_path.iterdir()) == []
