"""Recording beside other hooks, and the model left as it was found."""

import subprocess
import sys

import pytest
import torch
from planted import PlantedModel
from tiny_models import make_tiny_model
from tolerances import assert_largest, model_rounding, weight_rounding

from rh_lens.detection import MemoryLog, SourceRecorder, detect_retrieval_heads
from rh_lens.runtime import StopRule, greedy_decode, inference, prefill

NEVER = StopRule(frozenset())


@pytest.fixture
def fresh(tiny_tokenizer):
    """A bridge of its own for each test."""
    return make_tiny_model("llama", tiny_tokenizer).bridge


def state_of(bridge):
    """All that must not change: hooks, modes, gradients, settings, weights."""
    modules = [*bridge.modules(), *bridge.original_model.modules()]
    parameters = list(bridge.original_model.parameters())
    return {
        "hooks": {name: len(handles) for name, handles in bridge.list_hooks().items()},
        "level": getattr(bridge, "context_level", 0),
        "training": [module.training for module in modules],
        "requires_grad": [parameter.requires_grad for parameter in parameters],
        "grad": [parameter.grad is None for parameter in parameters],
        "weights": [parameter.detach().clone() for parameter in parameters],
        "cfg": str(bridge.cfg),
        "config": bridge.original_model.config.to_dict(),
        "modes": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
    }


def assert_same_state(before, after):
    weights = zip(before.pop("weights"), after.pop("weights"), strict=True)
    assert all(torch.equal(old, new) for old, new in weights)
    assert before == after


def forced_run(bridge, prompt, **options):
    """A detection run on a model that answers nothing right."""
    return detect_retrieval_heads(
        bridge, [prompt], score="teacher-forced", progress=False, **options
    )


@pytest.mark.parametrize("training", [False, True])
def test_detection_leaves_the_model_as_it_found_it(fresh, otter_prompt, training):
    fresh.train(training)
    fresh.blocks[1].eval()
    fresh.original_model.get_input_embeddings().requires_grad_(False)
    before = state_of(fresh)
    forced_run(fresh, otter_prompt)
    assert_same_state(before, state_of(fresh))


def test_detection_leaves_the_model_as_it_found_it_after_an_error(fresh, otter_prompt):
    fresh.train()
    before = state_of(fresh)

    class Interrupted(MemoryLog):
        def add(self, trial, events):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        forced_run(fresh, otter_prompt, log=Interrupted([0]))
    assert_same_state(before, state_of(fresh))


def test_an_error_inside_the_model_leaves_no_hook_behind(fresh, otter_prompt):
    before = state_of(fresh)

    def fail(pattern, hook):
        if pattern.shape[2] == 1:
            raise RuntimeError("in the middle of an answer")

    with (
        fresh.hooks(fwd_hooks=[("blocks.1.attn.hook_pattern", fail)]),
        pytest.raises(RuntimeError, match="in the middle"),
    ):
        forced_run(fresh, otter_prompt)
    assert_same_state(before, state_of(fresh))


def test_the_model_can_be_trained_afterwards(fresh, otter_prompt):
    forced_run(fresh, otter_prompt)
    fresh(otter_prompt.tokens, return_type="loss").backward()
    grads = [parameter.grad for parameter in fresh.original_model.parameters()]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)


def test_dropout_is_off_while_answering(fresh, otter_prompt):
    for block in fresh.blocks:
        block.attn.original_component.attention_dropout = 0.5
    fresh.train()
    answers = [
        greedy_decode(fresh, otter_prompt.tokens, max_new_tokens=8, stop=NEVER).tokens
        for _ in range(2)
    ]
    assert torch.equal(*answers)


@pytest.mark.parametrize("name", ["llama", "mistral-window", "gemma2", "gpt2", "opt", "lfm2"])
def test_recording_leaves_logits_bit_identical(tiny_model, random_tokens, name):
    bridge = tiny_model(name).bridge

    def logits(hooks):
        with inference(bridge), bridge.hooks(fwd_hooks=hooks):
            return prefill(bridge, random_tokens[:30]).read(random_tokens[30:].tolist())

    recorder = SourceRecorder(bridge, needle_span=(3, 9), every_row=True)
    assert torch.equal(logits([]), logits(recorder.fwd_hooks()))
    assert recorder.result().n_steps == 40


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_the_recorder_fits_around_hugging_face_generate(tiny_model, random_tokens, name):
    model = tiny_model(name)
    recorder = SourceRecorder(model.bridge)
    with model.bridge.hooks(fwd_hooks=recorder.fwd_hooks()):
        tokens = model.bridge.hf_generate(
            random_tokens[None], max_new_tokens=6, do_sample=False, return_type="tokens"
        )[0]
    sources = recorder.result().answer_rows(40, 6)
    _, attention = model.reference_pass(tokens[:-1])
    rows = attention[:, :, 39:].permute(2, 0, 1, 3)
    assert_largest(sources.source, rows, weight_rounding(model.bridge, 46))


def zero_head(layer, head):
    def zero(z, hook):
        z[:, :, head] = 0.0
        return z

    return (f"blocks.{layer}.attn.hook_z", zero)


def test_an_ablation_beside_the_recorder_acts_and_is_recorded(tiny_model, random_tokens):
    """The tokens equal those of a plain copy whose projection has the head's columns at zero."""
    model = tiny_model("llama")
    recorder = SourceRecorder(model.bridge)
    with model.bridge.hooks(fwd_hooks=[zero_head(0, 2), *recorder.fwd_hooks()]):
        ablated = greedy_decode(model.bridge, random_tokens, max_new_tokens=10, stop=NEVER).tokens
    plain = greedy_decode(model.bridge, random_tokens, max_new_tokens=10, stop=NEVER).tokens
    assert not torch.equal(ablated, plain)

    weight = model.reference.model.layers[0].self_attn.o_proj.weight
    columns = weight.data[:, 16:24].clone()
    weight.data[:, 16:24] = 0.0
    logits, attention = model.reference_pass(torch.cat([random_tokens, ablated])[:-1])
    weight.data[:, 16:24] = columns
    allowed = model_rounding(model.bridge, 50) * float(logits.abs().max())
    assert_largest(ablated, logits[39:], allowed)
    rows = attention[:, :, 38:].permute(2, 0, 1, 3)
    assert_largest(recorder.result().source, rows, weight_rounding(model.bridge, 50))


def test_detection_works_inside_the_users_hooks_and_leaves_them(llama, otter_prompt):
    """Zeroed heads are still observed: they look where they looked, without effect."""
    start = otter_prompt.answer_span[0]
    right = otter_prompt.answer_tokens.tolist()
    looks = {(1, 2): [start + t for t in range(7)]}
    planted = PlantedModel(llama, [150] * 2, [right, right], [looks, looks])
    with llama.hooks(fwd_hooks=planted.fwd_hooks()):
        n_hooks = {name: len(handles) for name, handles in llama.list_hooks().items()}
        with llama.hooks(fwd_hooks=[zero_head(1, 2)]):
            ablated = detect_retrieval_heads(llama, [otter_prompt], progress=False)
        assert {name: len(h) for name, h in llama.list_hooks().items()} == n_hooks
        plain = detect_retrieval_heads(llama, [otter_prompt], progress=False)
    assert torch.equal(ablated.scores.values, plain.scores.values)
    assert llama.list_hooks() == {}


def test_compatibility_mode_records_every_pass_once(tiny_tokenizer, random_tokens):
    bridge = make_tiny_model("llama", tiny_tokenizer).bridge
    bridge.enable_compatibility_mode(no_processing=True)
    recorder = SourceRecorder(bridge)
    tokens = greedy_decode(
        bridge, random_tokens, max_new_tokens=3, stop=NEVER, decode_hooks=recorder.fwd_hooks()
    ).tokens
    assert recorder.result().n_steps == len(tokens) == 3


@pytest.mark.slow
def test_importing_the_package_does_not_import_transformer_lens():
    code = "import rh_lens.detection, sys; sys.exit('transformer_lens' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
