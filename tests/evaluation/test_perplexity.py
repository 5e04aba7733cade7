import math

import numpy as np
import pytest
import torch
from scipy import stats
from tiny_models import TEXT
from tolerances import model_rounding

from rh_lens.evaluation import perplexity, window_losses
from rh_lens.evaluation.text_losses import mean_nll
from rh_lens.heads import Head
from rh_lens.interventions import zero_ablation
from rh_lens.prompts import synthetic_haystack, text_haystack
from rh_lens.runtime import Condition, Execution

HEADS = [Head(0, 1), Head(1, 0), Head(1, 3)]
WINDOW = 20


@pytest.fixture
def text():
    """Three windows of 20 random tokens, and 7 left over."""
    return torch.randint(2, 300, (67,), generator=torch.Generator().manual_seed(4))


def set_columns(model, kept, heads):
    """Zero the heads' columns of the output projections; none puts the weights back."""
    model.load_state_dict(kept, strict=False)
    for head in heads:
        weight = model.model.layers[head.layer].self_attn.o_proj.weight.data
        d_head = weight.shape[1] // model.config.num_attention_heads
        weight[:, head.head * d_head : (head.head + 1) * d_head] = 0


@torch.no_grad()
def plain_losses(model, text, scope):
    """Cross-entropy of each window's second half in plain Hugging Face, columns zeroed."""
    kept = {name: value.clone() for name, value in model.state_dict().items() if "o_proj" in name}
    found = []
    try:
        for tokens in text.split(WINDOW)[:3]:
            half = WINDOW // 2
            set_columns(model, kept, HEADS if scope in ("prefill", "both") else [])
            cache = model(tokens[None, : half - 1], use_cache=True).past_key_values
            set_columns(model, kept, HEADS if scope in ("decode", "both") else [])
            logits = model(tokens[None, half - 1 : -1], past_key_values=cache).logits[0]
            found.append(float(torch.nn.functional.cross_entropy(logits, tokens[half:])))
    finally:
        set_columns(model, kept, [])
    return found


@pytest.mark.parametrize("prefill", ["whole", "sdpa"])
def test_losses_equal_hugging_face_with_the_columns_zeroed(tiny_model, text, prefill):
    model = tiny_model("llama")
    scopes = ("both", "none", "prefill", "decode")
    conditions = {
        scope: Condition() if scope == "none" else Condition(zero_ablation(HEADS), scope)
        for scope in scopes
    }
    execution = Execution(prefill=prefill)
    losses = window_losses(model.bridge, text, conditions, window=WINDOW, execution=execution)
    assert losses["condition"].tolist() == [scope for scope in scopes for _ in range(3)]
    assert losses["window"].tolist() == [0, 1, 2] * 4
    assert (losses["n_tokens"] == 10).all()
    for scope in scopes:
        found = losses.loc[losses["condition"] == scope, "nll"].tolist()
        expected = plain_losses(model.reference, text, scope)
        assert found == pytest.approx(expected, rel=model_rounding(model.bridge, WINDOW))
    assert losses.groupby("condition")["nll"].mean().nunique() == 4


def test_the_table_is_made_of_the_windows(llama, text):
    conditions = {"plain": Condition(), "silenced": Condition(zero_ablation(HEADS), "decode")}
    losses = window_losses(llama, text, conditions, window=WINDOW)
    plain, silenced = (losses.loc[losses["condition"] == name, "nll"] for name in conditions)
    table = perplexity(llama, text, conditions, window=WINDOW)
    assert table.columns.tolist() == [
        "condition",
        "n_windows",
        "n_tokens",
        "nll",
        "nll_low",
        "nll_high",
        "perplexity",
        "ratio",
        "ratio_low",
        "ratio_high",
    ]
    assert table["condition"].tolist() == ["plain", "silenced"]
    assert table["n_tokens"].tolist() == [30, 30]
    assert table["nll"].tolist() == pytest.approx([plain.mean(), silenced.mean()])
    assert table["perplexity"].tolist() == pytest.approx(np.exp(table["nll"]).tolist())
    assert table["ratio"][1] == pytest.approx(math.exp(silenced.mean() - plain.mean()))
    assert table.loc[0, ["ratio", "ratio_low", "ratio_high"]].tolist() == [1.0] * 3
    assert table["ratio_low"][1] < table["ratio"][1] < table["ratio_high"][1]
    assert table["n_windows"].tolist() == [3, 3]
    low, high = stats.t.interval(0.95, 2, plain.mean(), stats.sem(plain))
    assert table.loc[0, ["nll_low", "nll_high"]].tolist() == pytest.approx([low, high])


def test_windows_of_text_begin_with_bos_and_follow_each_other(llama):
    """20 tokens each: BOS and 19 of the text."""
    seen = []

    def note(tokens, hook):
        seen.append(tokens.tolist())

    documents = [TEXT, TEXT[::-1]]
    with llama.hooks(fwd_hooks=[("embed.hook_in", note)]):
        found = window_losses(llama, documents, window=WINDOW, n_windows=3)
    expected = llama.tokenizer.encode("\n".join(documents), add_special_tokens=False)
    read = [token for (row,) in seen for token in row]
    assert len(found) == 3
    # The last token of a window is scored, not read; the BOS of the first stays in the cache.
    assert read[-3 * 18 - 1] == 0
    for index in range(3):
        place = len(read) - (3 - index) * 18
        assert read[place : place + 18] == expected[19 * index : 19 * index + 18]


def test_a_haystack_its_documents_and_one_window_at_most(llama):
    documents = [TEXT, "Otters!"]
    whole = perplexity(llama, text_haystack(documents), window=WINDOW, n_windows=2)
    assert whole.equals(perplexity(llama, documents, window=WINDOW, n_windows=2))
    assert whole["n_tokens"].tolist() == [20]


def test_an_even_guess_costs_the_logarithm_of_the_vocabulary():
    tokens = torch.tensor([3, 1, 0])
    assert mean_nll(torch.zeros(3, 8), tokens) == pytest.approx(math.log(8))
    sure = torch.nn.functional.one_hot(tokens, 8).float() * 100
    assert mean_nll(sure, tokens) == 0.0


def test_what_cannot_be_scored_is_refused(llama, text):
    with pytest.raises(ValueError, match="text of 256 tokens or more, one window; found fewer"):
        perplexity(llama, text)
    with pytest.raises(ValueError, match="at least one condition; found none"):
        perplexity(llama, text, {}, window=WINDOW)
    with pytest.raises(ValueError, match="window to be a whole number from 2 to 10000000; found 1"):
        perplexity(llama, text, window=1)
    with pytest.raises(TypeError, match="Expected a TransformerBridge; found str"):
        perplexity("gpt2", text)
    silent = [("blocks.1.attn.hook_hidden_states", lambda tensor, hook: None)]
    with pytest.raises(RuntimeError, match="found 1 of 1 silent"):
        perplexity(llama, text, {"silent": Condition(silent, "decode")}, window=WINDOW)


def test_the_bundled_model_keeps_its_language_without_its_retrieval_heads(demo_model):
    """4 x 128 tokens of unseen prose: within 5 %, where losing layer 0 costs 100-fold."""
    conditions = {
        "plain": Condition(),
        "retrieval heads": Condition(zero_ablation(Head(2, head) for head in (2, 3, 4, 5))),
        "layer 0": Condition(zero_ablation(Head(0, head) for head in range(8))),
    }
    table = perplexity(demo_model, synthetic_haystack(seed=424_242), conditions, n_windows=4)
    assert table["n_tokens"].tolist() == [512] * 3
    _, silenced, without_layer = table["ratio"]
    assert 0.95 < silenced < 1.05
    assert without_layer > 100


@pytest.mark.parametrize("scope", ["both", "decode"])
def test_what_is_measured_is_not_measured_again(llama, text, scope, monkeypatch):
    """Two windows before a kill, the rest after it: equal to the last bit."""
    conditions = {"none": Condition(), "off": Condition(zero_ablation(HEADS), scope)}
    kept = []
    whole = window_losses(llama, text, conditions, window=WINDOW, on_losses=kept.append)
    assert [set(losses) for losses in kept] == [{("none", n), ("off", n)} for n in range(3)]
    before = kept[0] | kept[1]
    del before["off", 1]
    kept.clear()
    rest = window_losses(llama, text, conditions, window=WINDOW, done=before, on_losses=kept.append)
    assert [set(losses) for losses in kept] == [{("off", 1)}, {("none", 2), ("off", 2)}]
    assert rest.equals(whole)
    monkeypatch.setattr("rh_lens.evaluation.text_losses.open_context", None)
    known = before | kept[0] | kept[1]
    assert window_losses(llama, text, conditions, window=WINDOW, done=known).equals(whole)
    with pytest.raises(ValueError, match=r"of the conditions \['none'\]; found one of 'off'"):
        window_losses(llama, text, {"none": Condition()}, window=WINDOW, done=known)
