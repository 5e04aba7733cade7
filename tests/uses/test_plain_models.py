"""Uses that listen to attention say the same of a bridge and of a plain Hugging Face model."""

from collections.abc import Callable

import pandas as pd
import pytest
import torch
from tiny_models import TinyModel
from tolerances import weight_rounding
from transformers import AutoModelForCausalLM

from rh_lens.demo import DEMO_MODEL_FOLDER, load_demo_model
from rh_lens.prompts import build_grid, evaluation_needles, synthetic_haystack
from rh_lens.runtime import Execution
from rh_lens.uses import (
    AnswerWatch,
    answer_features,
    ask_document,
    citation_cases,
    citation_quality,
    cite,
    contrastive_pairs,
    monitored_answers,
)
from rh_lens.uses.plain_reader import PlainReader

HEADS = ["L2H2", "L2H3", "L2H4", "L2H5"]
TINY_HEADS = ["L0H0", "L0H1", "L1H1"]
CAT = "What do the Orrin sisters call the cat?"
DOCUMENT = "It rained. The Orrin sisters call the cat Baron Turnip. Nobody came."
TEXT = "the quiet violet lantern. why the boats left the old stone bridge."


@pytest.fixture(scope="module")
def models():
    """A bridge, and a plain model of the same weights."""
    plain = AutoModelForCausalLM.from_pretrained(DEMO_MODEL_FOLDER, dtype=torch.float32)
    return load_demo_model(), plain.eval()


def same(one: pd.DataFrame, other: pd.DataFrame, atol: float) -> None:
    pd.testing.assert_frame_equal(one, other, rtol=0, atol=atol)


@pytest.mark.parametrize("name", ["llama", "gpt2", "mistral"])
def test_sources_and_features_are_those_of_the_bridge(
    name: str, tiny_model: Callable[[str], TinyModel]
) -> None:
    tiny = tiny_model(name)
    tokenizer = tiny.bridge.tokenizer
    asked = ask_document(tokenizer, TEXT, "why the boats?")
    said = asked.prompt.tokens[4:12]
    both = (tiny.bridge, tiny.reference)
    tables = [answer_features(one, asked, said, TINY_HEADS) for one in both]
    same(*tables, atol=20 * weight_rounding(tiny.bridge, 60))
    options = {"heads": TINY_HEADS, "least_support": 0.0, "max_new_tokens": 6}
    cited = [cite(one, TEXT, "why the boats?", tokenizer=tokenizer, **options) for one in both]
    assert cited[0].text == cited[1].text
    assert cited[0].spans == cited[1].spans
    same(cited[0].tokens, cited[1].tokens, atol=0)


def test_a_plain_model_cites_what_its_bridge_cites(models) -> None:
    bridge, plain = models
    found = cite(plain, DOCUMENT, CAT, heads=HEADS, tokenizer=bridge.tokenizer)
    assert found.spans == cite(bridge, DOCUMENT, CAT, heads=HEADS).spans
    assert found.spans[0].text == "Baron Turnip"
    assert plain.config._attn_implementation == "sdpa"


def test_cited_places_are_as_good_as_on_the_bridge(models) -> None:
    """Of heads, of the mean of all heads, and of the words."""
    bridge, plain = models
    cases = citation_cases(synthetic_haystack(n_sentences=60), evaluation_needles()[:1])[2:4]
    options = {"progress": False, "max_new_tokens": 6}
    before = citation_quality(bridge, cases, HEADS, **options).rows
    found = citation_quality(plain, cases, HEADS, tokenizer=bridge.tokenizer, **options).rows
    same(before, found, atol=0)
    assert before["precision"].nunique() > 1


def test_weakened_answers_are_those_of_the_bridge(models) -> None:
    bridge, plain = models
    cases = citation_cases(synthetic_haystack(n_sentences=60), evaluation_needles()[:1])[:1]
    options = {"weakened": (1.0, 0.15), "progress": False, "max_new_tokens": 6}
    before = monitored_answers(bridge, cases, HEADS, **options)
    found = monitored_answers(plain, cases, HEADS, tokenizer=bridge.tokenizer, **options)
    same(before, found, atol=1e-4)
    assert before["wrong"].any()
    assert not before["wrong"].all()


@pytest.mark.parametrize(("least", "warned_at"), [(0.25, None), (1.0, 3)])
def test_a_watch_warns_of_the_same_token(models, least: float, warned_at: int | None) -> None:
    bridge, plain = models
    asked = ask_document(bridge.tokenizer, DOCUMENT, CAT)
    options = {"max_new_tokens": 6, "do_sample": False}
    tokens = asked.prompt.tokens[None]
    one, other = (AnswerWatch(model, asked, HEADS, least=least, stop=True) for model in models)
    with bridge.hooks(fwd_hooks=one.fwd_hooks()):
        said = bridge.original_model.generate(tokens, stopping_criteria=[one], **options)
    again = plain.generate(tokens, stopping_criteria=[other], **options)
    assert (one.warned_at, other.warned_at) == (warned_at, warned_at)
    assert torch.equal(said, again)


def test_what_only_a_bridge_can_is_refused(models, tiny_model) -> None:
    bridge, plain = models
    with pytest.raises(TypeError, match=r"Expected tokenizer to be the model's tokenizer; found N"):
        cite(plain, DOCUMENT, CAT, heads=HEADS)
    options = {"heads": HEADS, "tokenizer": bridge.tokenizer}
    with pytest.raises(ValueError, match="an execution with a TransformerBridge only"):
        cite(plain, DOCUMENT, CAT, execution=Execution(prefill="chunked"), **options)
    asked = ask_document(bridge.tokenizer, DOCUMENT, CAT)
    with pytest.raises(ValueError, match="hooks with a TransformerBridge only; found 1"):
        answer_features(plain, asked, torch.ones(2).long(), HEADS, hooks=[("x", print)])
    with pytest.raises(ValueError, match=r"L9H0"):
        cite(plain, DOCUMENT, CAT, heads=["L9H0"], tokenizer=bridge.tokenizer)
    window = plain.config.max_position_embeddings
    with pytest.raises(ValueError, match=f"window of {window} tokens; found {window + 1}"):
        PlainReader(plain, torch.ones(3).long(), window + 1)


def test_pairs_of_answers_are_those_of_the_bridge(models) -> None:
    bridge, plain = models
    haystack, needles = synthetic_haystack(n_sentences=60), evaluation_needles()[:2]
    grid = build_grid(bridge.tokenizer, haystack, needles, context_lengths=[96], depths=[0.3])
    options = {"max_new_tokens": 8, "progress": False, "only_better": False}
    before = contrastive_pairs(bridge, grid, HEADS, **options).to_dataframe()
    found = contrastive_pairs(plain, grid, HEADS, tokenizer=bridge.tokenizer, **options)
    pd.testing.assert_frame_equal(found.to_dataframe(), before)
    assert len(before) == 2
