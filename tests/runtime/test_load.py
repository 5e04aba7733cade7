"""Loading models by name: where they go, what is shown, and which are refused."""

import pytest
import torch
from planted import make_prompt
from test_questions import turns
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from rh_lens.demo import load_demo_model
from rh_lens.detection import SourceRecorder, detect_retrieval_heads
from rh_lens.evaluation import needle_recall
from rh_lens.interventions import head_outputs, zero_ablation
from rh_lens.runtime import (
    attention_layers,
    eos_token_ids,
    load_model,
    require_decoder,
    require_supported,
    without_progress_bars,
)

CONFIG = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_tokenizer):
    """Makes folders with tiny models of a kind."""

    def make(kind: str, **options):
        path = tmp_path_factory.mktemp(kind)
        config = AutoConfig.for_model(kind, **CONFIG, **options)
        AutoModelForCausalLM.from_config(config).save_pretrained(path)
        tiny_tokenizer.save_pretrained(path)
        return path

    return make


@pytest.fixture(scope="module")
def native(tiny_tokenizer):
    """A model of TransformerLens's own."""
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge

    config = TransformerBridgeConfig(
        d_model=32,
        d_head=8,
        n_heads=4,
        n_layers=2,
        n_ctx=128,
        d_vocab=320,
        d_mlp=64,
        act_fn="gelu",
        normalization_type="LN",
        seed=0,
    )
    return TransformerBridge.boot_native(config, tokenizer=tiny_tokenizer)


@pytest.mark.parametrize("device", ["meta", "foo", "cpu:9", "cuda:99"])
def test_no_model_is_loaded_for_a_device_that_is_not_there(device, tmp_path):
    for load in (load_demo_model, load_model):
        with pytest.raises(ValueError, match="Expected device to be a device of this machine"):
            load(str(tmp_path / "not looked at"), device=device)


def test_the_demo_model_is_where_its_configuration_says(monkeypatch):
    """Without an accelerator, the move itself is watched."""
    moved = []
    kept = torch.nn.Module.to

    def to(self, *args, **kwargs):
        moved.append(args)
        return kept(self, *args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "to", to)
    model = load_demo_model(device="cpu:0")
    assert (torch.device("cpu", 0),) in moved
    places = {parameter.device.type for parameter in model.original_model.parameters()}
    assert places == {torch.device(model.cfg.device).type}


def test_loading_is_quiet_if_asked_and_bars_come_back(folder, capfd):
    path = folder("llama")
    assert logging.is_progress_bar_enabled()
    load_model(str(path), device="cpu", progress=False)
    assert "Loading weights" not in capfd.readouterr().err
    assert logging.is_progress_bar_enabled()
    load_model(str(path), device="cpu")
    assert "Loading weights" in capfd.readouterr().err


def test_bars_that_were_off_stay_off():
    logging.disable_progress_bar()
    try:
        with without_progress_bars():
            pass
        assert not logging.is_progress_bar_enabled()
    finally:
        logging.enable_progress_bar()


def test_falcons_that_transformer_lens_splits_wrongly_are_refused(folder, tiny_model):
    forty_b = folder("falcon", new_decoder_architecture=True, num_kv_heads=2)
    with pytest.raises(ValueError, match="found falcon with new_decoder_architecture=True"):
        load_model(str(forty_b), device="cpu")
    # One that boots has logits that are off by more than 1: refused wherever a model is taken.
    bridge = tiny_model("falcon").bridge
    require_decoder(bridge)
    config = bridge.original_model.config
    config.new_decoder_architecture = True
    try:
        with pytest.raises(ValueError, match="it splits wrongly"):
            attention_layers(bridge)
    finally:
        config.new_decoder_architecture = False


def test_encoders_are_refused(folder):
    bert = load_model(str(folder("bert")), device="cpu", progress=False)
    with pytest.raises(ValueError, match=r"to return a KV cache; found none\. .*BERT"):
        require_decoder(bert)
    with pytest.raises(ValueError, match="Expected a decoder-only model; found 't5'"):
        require_supported(AutoConfig.for_model("t5"))


def test_a_native_model_can_be_recorded_and_ablated(native):
    tokens = torch.arange(5, 45)
    recorder = SourceRecorder(native, needle_span=(20, 25))
    before = native(tokens[None])
    with native.hooks(fwd_hooks=[*zero_ablation([(1, 2)], model=native), *recorder.fwd_hooks()]):
        after = native(tokens[None])
    assert recorder.result().n_steps == 1
    assert not torch.equal(before, after)
    assert eos_token_ids(native) == {1}


def test_what_needs_a_cache_refuses_a_native_model(native):
    prompt = make_prompt(list(range(5, 45)), (20, 25))
    cases = [
        lambda: detect_retrieval_heads(native, [prompt], progress=False),
        lambda: head_outputs(native, prompt),
        lambda: require_decoder(native),
    ]
    for case in cases:
        with pytest.raises(ValueError, match="Expected 'native' to return a KV cache"):
            case()


def test_a_model_in_memory_answers_like_one_from_its_folder(folder, tiny_tokenizer):
    path = folder("llama")
    inside = AutoModelForCausalLM.from_pretrained(path)
    inside.config.architectures = None
    bridge = load_model(inside, tokenizer=tiny_tokenizer, dtype=torch.float64, device="cpu")
    assert bridge.original_model is inside
    assert {weight.dtype for weight in inside.parameters()} == {torch.float64}
    tokens = torch.arange(5, 20)[None]
    by_name = load_model(path, device="cpu", dtype=torch.float64, progress=False)
    assert torch.equal(bridge(tokens), by_name(tokens))


def test_the_context_window_can_be_set(folder):
    bridge = load_model(folder("llama"), device="cpu", n_ctx=100, progress=False)
    assert bridge.cfg.n_ctx == 100


def test_a_device_map_places_the_model(folder):
    bridge = load_model(folder("llama"), device_map={"": "cpu"}, progress=False)
    assert {weight.device.type for weight in bridge.original_model.parameters()} == {"cpu"}


def test_what_only_transformers_takes_is_given_to_it(folder, otter_prompt):
    path = folder("llama")
    options = {"local_files_only": True, "token": False, "progress": False}
    bridge, plain = load_model(path, **options), load_model(path, progress=False)
    tokens = otter_prompt.tokens[None]
    assert torch.equal(bridge(tokens, return_type="logits"), plain(tokens, return_type="logits"))
    assert bridge.cfg.dtype == torch.float32
    mapped = load_model(path, device_map={"": "cpu"}, **options)
    assert torch.equal(mapped(tokens, return_type="logits"), plain(tokens, return_type="logits"))
    with pytest.raises(OSError, match="no-such-folder"):
        load_model("no-such-folder/model", **options)


@pytest.mark.parametrize("disk", ["model.layers.1", "model.layers.0"])
def test_recording_and_ablating_a_model_whose_layers_lie_elsewhere(folder, tmp_path, disk):
    """One layer on the disk, put into place by accelerate's hooks as it is needed."""
    path = folder("llama")
    places = {"model.embed_tokens": "cpu", "model.norm": "cpu", "lm_head": "cpu"}
    places |= {"model.rotary_emb": "cpu", "model.layers.0": "cpu", "model.layers.1": "cpu"}
    split = load_model(
        path, device_map={**places, disk: "disk"}, offload_folder=tmp_path, progress=False
    )
    whole = load_model(path, progress=False)
    prompts = turns(1)
    options = {"min_recall": -1.0, "max_new_tokens": 4, "progress": False}
    one, other = (detect_retrieval_heads(model, prompts, **options) for model in (split, whole))
    for trial, expected in zip(one.trials, other.trials, strict=True):
        assert torch.equal(trial.tokens, expected.tokens)
        assert torch.allclose(trial.attention_mass, expected.attention_mass, rtol=0, atol=1e-6)
    conditions = {"plain": (), "zero": zero_ablation(["L0H1", "L1H2"])}
    recalls = [
        needle_recall(model, prompts, conditions, max_new_tokens=4, progress=False)
        for model in (split, whole)
    ]
    assert recalls[0].answers.equals(recalls[1].answers)


def test_options_that_are_wrong_are_refused_before_loading(tmp_path):
    nowhere = tmp_path / "not looked at"
    with pytest.raises(ValueError, match="device or device_map; found both"):
        load_model(nowhere, device="cpu", device_map="auto")
    with pytest.raises(ValueError, match=r"found 'max_memry'. Did you mean 'max_memory'\?"):
        load_model(nowhere, max_memry={0: "10GiB"})
    with pytest.raises(ValueError, match="n_ctx to be a whole number of 1 or more; found 0"):
        load_model(nowhere, n_ctx=0)
    config = AutoConfig.for_model("llama", **CONFIG)
    with pytest.raises(TypeError, match="Expected a tokenizer beside a model in memory"):
        load_model(AutoModelForCausalLM.from_config(config))
