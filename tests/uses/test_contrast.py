"""Contrasts: their formula, their identities, and two implementations that agree."""

import math
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import TinyModel
from tolerances import assert_close, model_rounding
from torch import Tensor
from transformers import AutoModelForCausalLM

from rh_lens.demo import DEMO_MODEL_FOLDER, load_demo_model
from rh_lens.interventions import scale_heads, zero_ablation
from rh_lens.prompts import (
    Distractor,
    Needle,
    build_grid,
    evaluation_needles,
    synthetic_haystack,
)
from rh_lens.runtime import greedy_decode, inference, open_context, stop_rule
from rh_lens.runtime.generation import GenerationUnderWay
from rh_lens.uses import (
    DECODING_WAYS,
    MEMORY_KINDS,
    ContextContrast,
    HeadContrast,
    citation_cases,
    context_aware_decode,
    contrast,
    contrast_decode,
    contrast_quality,
    contrast_strength,
    memory_cases,
    silent_heads,
)
from rh_lens.uses.contrast_decoding import _two_contexts
from rh_lens.uses.contrast_quality import judged

HEADS = ["L2H2", "L2H3", "L2H4", "L2H5"]
HAYSTACK = synthetic_haystack(seed=3, n_sentences=60)


@pytest.fixture(scope="module")
def model():
    return load_demo_model()


@pytest.fixture(scope="module")
def plain_model():
    return AutoModelForCausalLM.from_pretrained(DEMO_MODEL_FOLDER)


@pytest.fixture(scope="module")
def prompts(model):
    return build_grid(
        model.tokenizer, HAYSTACK, evaluation_needles()[:2], context_lengths=[96], depths=[0.4]
    )


def test_strength_is_the_entropy_in_nats_or_alike() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, -math.inf, -math.inf, -math.inf]])
    found = contrast_strength(logits, 0.5, "entropy")
    assert found.tolist() == [[pytest.approx(0.5 * math.log(4))], [0.0]]
    assert contrast_strength(logits, 0.5, "static").tolist() == [[0.5], [0.5]]


def test_a_contrast_of_none_is_the_base_to_the_last_bit() -> None:
    base, other = torch.randn(3, 50), torch.randn(3, 50)
    other[0, 0], base[1, 1] = -math.inf, -math.inf
    strength = torch.tensor([[0.0], [0.0], [2.0]])
    found = contrast(base, other, strength)
    assert torch.equal(found[:2], base[:2])
    torch.testing.assert_close(found[2], 3 * base[2] - 2 * other[2])


def test_alpha_0_says_what_greedy_decoding_says(model, prompts) -> None:
    stop = stop_rule(model.tokenizer)
    hooks = scale_heads(HEADS, 0.3)
    for prompt in prompts:
        plain = greedy_decode(model, prompt.tokens, stop=stop, decode_hooks=hooks)
        found = contrast_decode(model, prompt.tokens, HEADS, alpha=0.0, hooks=hooks)
        assert torch.equal(found.generation.tokens, plain.tokens)
        alone = "Question: Who?\nAnswer:"
        found = context_aware_decode(model, prompt.tokens, alone, alpha=0.0, hooks=hooks)
        assert torch.equal(found.generation.tokens, plain.tokens)
        assert found.strength.count_nonzero() == 0


@pytest.mark.parametrize("by", ["entropy", pytest.param("static", marks=pytest.mark.slow)])
def test_rows_contexts_and_a_processor_of_a_plain_model_say_the_same(
    model, plain_model, prompts, by
) -> None:
    tokens = prompts[0].tokens
    found = contrast_decode(model, tokens, HEADS, by=by, max_new_tokens=8)
    stop = stop_rule(model.tokenizer)
    with inference(model):
        context = open_context(model, tokens, longest=len(tokens) + 8)
        answer = GenerationUnderWay(model.tokenizer, int(tokens[-1]), 8, stop)
        asked = [(tokens, ()), (tokens, zero_ablation(HEADS))]
        apart = _two_contexts(model, asked, context, answer, 1.0, by)
    assert apart.generation.said == found.generation.said
    torch.testing.assert_close(apart.strength, found.strength, atol=1e-4, rtol=1e-3)
    processor = HeadContrast(plain_model, HEADS, by=by)
    for _ in range(2):  # a second prompt with the same processor
        said = plain_model.generate(
            tokens[None],
            attention_mask=torch.ones_like(tokens)[None],
            logits_processor=[processor],
            max_new_tokens=len(found.generation.said),
            do_sample=False,
        )
        assert said[0, len(tokens) :].tolist() == list(found.generation.said)


def test_without_its_context_two_implementations_agree(model, plain_model, prompts) -> None:
    tokens = prompts[0].tokens
    alone = model.tokenizer("Question: Who?\nAnswer:", return_tensors="pt").input_ids[0]
    found = context_aware_decode(model, tokens, alone, alpha=2.0, max_new_tokens=8)
    said = plain_model.generate(
        tokens[None],
        attention_mask=torch.ones_like(tokens)[None],
        logits_processor=[ContextContrast(plain_model, alone, alpha=2.0)],
        max_new_tokens=len(found.generation.said),
        do_sample=False,
    )
    assert said[0, len(tokens) :].tolist() == list(found.generation.said)


def test_scores_come_back_as_they_are_at_alpha_0_and_batches_are_refused(plain_model) -> None:
    ids, scores = torch.zeros(2, 5, dtype=torch.long), torch.randn(2, 20)
    assert HeadContrast(plain_model, HEADS, alpha=0.0)(ids, scores) is scores
    with pytest.raises(ValueError, match="one answer at a time; found a batch of 2"):
        HeadContrast(plain_model, HEADS)(ids, scores)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt-neox", "phi3"])
@torch.no_grad()
def test_silent_heads_of_a_plain_model_are_zero_ablation(
    name: str, tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    tiny = tiny_model(name)
    heads = ["L0H1", "L1H0", "L1H3"]
    before = tiny.reference(random_tokens[None]).logits
    with silent_heads(tiny.reference, heads):
        found = tiny.reference(random_tokens[None]).logits
    with tiny.bridge.hooks(fwd_hooks=zero_ablation(heads)):
        expected = tiny.bridge(random_tokens[None])
    assert_close(found, expected, model_rounding(tiny.bridge, 40))
    assert torch.equal(tiny.reference(random_tokens[None]).logits, before)
    assert not torch.equal(found, before)


def test_where_rows_cannot_stand_side_by_side_there_are_two_passes(
    tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    """A layer with a window; the heads of a random model change what it says."""
    bridge = tiny_model("mistral-window").bridge
    found = contrast_decode(bridge, random_tokens, ["L0H0", "L1H1"], max_new_tokens=3)
    plain = greedy_decode(bridge, random_tokens, stop=stop_rule(bridge.tokenizer), max_new_tokens=3)
    assert found.strength[0] > 1
    assert len(found.generation.said) == len(plain.said) == 3


def fact(island: str, known: str, said: str) -> Needle:
    """What a model may know, and a sentence that says something else."""
    text = f"The metal of {island} is"
    other = Distractor(f"{text} {said}.", said)
    return Needle(
        f"What is the metal of {island}?", f"{text} {known}.", known, distractors=(other,)
    )


def test_a_document_contradicts_what_is_known_or_leaves_it_out() -> None:
    facts = [fact("Aru", "tin", "gold"), fact("Bek", "gold", "lead"), fact("Cim", "iron", "tin")]
    cases = memory_cases(HAYSTACK, facts, n_characters=100)
    assert [case.kind for case in cases] == [*MEMORY_KINDS] * 3
    for one, said, silent in zip(facts, cases[::2], cases[1::2], strict=True):
        start, stop = said.answer_span
        assert said.document[start:stop] == one.distractors[0].answer == said.needle.answer
        assert said.needle.distractors[0].answer == one.answer
        assert one.text not in said.document
        # Another fact stands there, with neither of the two answers.
        assert silent.answer_span is None
        assert silent.document.count("The metal of") == 1
        assert not any(
            f"is {word}." in silent.document for word in (one.answer, said.needle.answer)
        )
    with pytest.raises(ValueError, match="a distractor each"):
        memory_cases(HAYSTACK, [replace(facts[0], distractors=())], n_characters=100)


def test_answers_are_from_the_document_from_memory_refusals_or_neither() -> None:
    cases = memory_cases(HAYSTACK, [fact("Aru", "tin", "gold"), fact("Bek", "iron", "lead")])[:2]
    said = ("It is Gold.", "Tin.", "not stated.", "The eating house.", "gold, not tin")
    told = [[judged(case, text) for text in said] for case in cases]
    names = [[[name for name, true in row.items() if true] for row in rows] for rows in told]
    assert names[0] == [["right"], ["other"], ["refused"], ["neither"], ["right", "other"]]
    # Where the document does not say it, nothing of it is right.
    assert names[1] == [["neither"], ["other"], ["refused"], ["neither"], ["other"]]


def test_bridge_and_plain_model_answer_alike_in_every_way(model, plain_model) -> None:
    cases = citation_cases(HAYSTACK, evaluation_needles()[:1], n_characters=150)[:1]
    ways = {name: [0.5] for name in DECODING_WAYS if name != "greedy"}
    options = {"weakened": [0.1, 0.3], "max_new_tokens": 4, "progress": False, "ways": ways}
    one = contrast_quality(model, cases, HEADS, **options).rows
    two = contrast_quality(
        plain_model.float(), cases, HEADS, tokenizer=model.tokenizer, **options
    ).rows
    assert one["text"].tolist() == two["text"].tolist()
    assert one["text"].nunique() > 1
    assert one["strength"].eq(0.5).all()


def test_bonus_and_unknown_ways(model, plain_model) -> None:
    cases = citation_cases(HAYSTACK, evaluation_needles()[:1], n_characters=150)[:1]
    quiet = {"max_new_tokens": 4, "progress": False, "weakened": [1.0]}
    ways = {"greedy": [0.0], "attention bonus": [0.0]}
    found = contrast_quality(model, cases, HEADS, ways=ways, **quiet).rows
    assert found["text"].nunique() == 1
    with pytest.raises(ValueError, match="edits attention; found a Hugging Face model"):
        contrast_quality(plain_model, cases, HEADS, ways=ways, tokenizer=model.tokenizer, **quiet)


@pytest.mark.slow
def test_a_contrast_brings_back_what_weak_heads_have_lost(model) -> None:
    needles = evaluation_needles()[:2]
    cases = [c for c in citation_cases(HAYSTACK, needles, n_characters=300) if c.kind == "plain"]
    found = contrast_quality(model, cases, HEADS, weakened=[0.2], progress=False)
    right = found.summary().set_index("method")["right"]
    assert right["greedy"] == 0
    assert right["DeCoRe entropy"] == 1


@pytest.mark.slow
def test_the_tutorial_prints_a_table_of_each_kind(monkeypatch, capsys) -> None:
    """With a model that knows nothing of the world: what is known can't be asked for."""
    script = Path(__file__).parents[2] / "tutorials" / "decode_against_memory.py"
    monkeypatch.setattr("sys.argv", [str(script), "--model", "demo:finder", "--questions", "1"])
    runpy.run_path(str(script), run_name="__main__")
    out = capsys.readouterr().out
    assert "0 of 1 facts are known without a document." in out
    assert "**The document answers** (1 questions)" in out
    assert "**The document does not answer** (1 questions)" in out
    rows = [line.split(" | ") for line in out.splitlines() if line.startswith("| greedy")]
    assert rows[0][2] == "1.00 [0.00, 1.00]"
