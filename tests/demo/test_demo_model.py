"""The bundled model does what its card says."""

import json
import random

import pytest
import torch
from tolerances import assert_close, model_rounding
from transformers import AutoModelForCausalLM, AutoTokenizer

from rh_lens.demo import DEMO_MODEL_FOLDER, load_demo_model
from rh_lens.demo.card import card
from rh_lens.demo.evaluate import N_VARIED, exact_answers, varied_prompts
from rh_lens.demo.training.held_out import held_out_prompts
from rh_lens.detection import detect_retrieval_heads
from rh_lens.heads import Head
from rh_lens.runtime import Execution

EVALUATION = json.loads((DEMO_MODEL_FOLDER / "evaluation.json").read_text())
MEASURED_HEADS = {
    Head(layer, head)
    for layer, scores in enumerate(EVALUATION["scores"]["position"])
    for head, score in enumerate(scores)
    if score >= 0.1
}


@pytest.fixture(scope="module")
def model():
    return load_demo_model()


@pytest.fixture(scope="module")
def prompts(model):
    """30 prompts that neither training nor the card's evaluation used."""
    return held_out_prompts(
        model.tokenizer, context_lengths=(256,), depths=5, n_needles=6, seed=50_001
    )


@pytest.fixture(scope="module")
def result(model, prompts):
    """What detection finds by default on the first twelve of them."""
    return detect_retrieval_heads(model, prompts[:12], progress=False)


def exact_share(model, prompts):
    return sum(exact_answers(model, prompts)) / len(prompts)


def test_the_weights_load_as_plain_hugging_face_in_eight_megabytes():
    model = AutoModelForCausalLM.from_pretrained(DEMO_MODEL_FOLDER)
    tokenizer = AutoTokenizer.from_pretrained(DEMO_MODEL_FOLDER)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert model.config.num_key_value_heads == 4
    assert model.config.max_position_embeddings == tokenizer.model_max_length == 2048
    size = sum(path.stat().st_size for path in DEMO_MODEL_FOLDER.iterdir())
    assert size < 8_000_000


def test_the_bridge_says_what_plain_hugging_face_says(model, prompts):
    plain = AutoModelForCausalLM.from_pretrained(DEMO_MODEL_FOLDER, dtype=torch.float32)
    tokens = prompts[0].tokens[None]
    with torch.inference_mode():
        found, expected = model(tokens, return_type="logits"), plain(tokens).logits
    assert_close(found, expected, model_rounding(model, tokens.shape[-1]))


def test_held_out_questions_are_answered_word_for_word(model, prompts):
    assert exact_share(model, prompts) >= 0.8


def test_an_exact_answer_is_what_greedy_decoding_says(model, prompts):
    for prompt, exact in zip(prompts[:6], exact_answers(model, prompts[:6]), strict=True):
        tokens = model.generate(
            prompt.tokens[None],
            max_new_tokens=32,
            do_sample=False,
            verbose=False,
            return_type="tokens",
        )[0, len(prompt.tokens) :]
        said = model.tokenizer.decode(tokens)
        expected = f" {prompt.needle.answer}.{model.tokenizer.eos_token}"
        assert exact == said.startswith(expected)


def test_detection_finds_the_heads_of_the_card(model, prompts):
    result = detect_retrieval_heads(model, prompts, progress=False)
    assert len(result.accepted) >= 24
    found = set(result.heads())
    strong = {
        head
        for head in MEASURED_HEADS
        if EVALUATION["scores"]["position"][head.layer][head.head] >= 0.2
    }
    assert 2 <= len(MEASURED_HEADS) <= 8
    assert strong <= found <= MEASURED_HEADS | set(result.top(8))
    assert (result.scores.mean() == 0).double().mean() >= 0.5


def test_silencing_the_retrieval_heads_by_hand_destroys_the_answer(model, prompts):
    retrieval = sorted(MEASURED_HEADS)
    rng = random.Random(0)
    others = [
        Head(head.layer, other)
        for head in retrieval
        for other in rng.sample(range(8), 8)
        if Head(head.layer, other) not in retrieval
    ][: len(retrieval)]

    def zero(heads):
        def hook_fn(z, hook):
            z = z.clone()
            for head in heads:
                if head.layer == hook.layer():
                    z[:, :, head.head] = 0
            return z

        layers = {head.layer for head in heads}
        return [(f"blocks.{layer}.attn.hook_z", hook_fn) for layer in layers]

    with model.hooks(fwd_hooks=zero(retrieval)):
        assert exact_share(model, prompts) < 0.1
    with model.hooks(fwd_hooks=zero(others)):
        assert exact_share(model, prompts) > 0.7


def test_the_card_shows_what_was_measured():
    text = (DEMO_MODEL_FOLDER / "README.md").read_text(encoding="utf-8")
    assert text == card(DEMO_MODEL_FOLDER)
    shares = EVALUATION["exact answers"]["synthetic"]["by length"]
    assert "| synthetic | " + " | ".join(f"{share:.3f}" for share in shares.values()) in text


@pytest.mark.parametrize(
    "execution",
    [
        pytest.param({"share_prefixes": False}, marks=pytest.mark.slow),
        pytest.param({"speculate": False}, marks=pytest.mark.slow),
        {"prefill": "sdpa"},
        {"prefill": "chunked"},
        {"prefill": "whole", "share_prefixes": False, "speculate": False},
        {"batch_size": 4},
    ],
    ids=lambda choices: ", ".join(f"{key}={value}" for key, value in choices.items()),
)
def test_how_prompts_are_read_changes_no_token_and_no_source(model, prompts, result, execution):
    found = detect_retrieval_heads(
        model, prompts[:12], progress=False, execution=Execution(**execution)
    )
    for trial, other in zip(result.trials, found.trials, strict=True):
        assert trial.tokens.tolist() == other.tokens.tolist()
    same = ["trial", "step", "layer", "head", "source", "token_id"]
    assert result.events.table[same].equals(found.events.table[same])
    assert torch.equal(result.scores.mean(), found.scores.mean())


def test_varied_prompts_share_neither_needle_nor_text(model):
    prompts = varied_prompts(model, 128)
    assert len(prompts) == N_VARIED
    assert len({prompt.needle.question for prompt in prompts}) == N_VARIED
    assert len({prompt.haystack_sha256 for prompt in prompts}) == N_VARIED
    assert len({prompt.requested_depth for prompt in prompts}) == 11
