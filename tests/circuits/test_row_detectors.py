"""Detectors that read attention rows: plain loops, planted heads, TransformerLens's own score."""

import math

import pytest
import torch
from tolerances import weight_rounding
from torch import Tensor
from transformer_lens.head_detector import detect_head

from rh_lens.circuits import (
    DETECTORS,
    duplicate_token_heads,
    global_heads,
    induction_heads,
    local_heads,
    positional_heads,
    prefix_matching_heads,
    previous_token_heads,
    rare_word_heads,
    repeated_random_tokens,
    sink_heads,
)

WINDOW, OFFSET = 5, 4
ARCHITECTURES = [
    *("llama", "mistral-window", "gpt2", "bamba"),
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("gpt-neox", "gemma2", "gpt-oss", "deepseek-v3", "opt")
    ),
]
FIND = {
    "previous": previous_token_heads,
    "duplicate": duplicate_token_heads,
    "induction": induction_heads,
    "sink": sink_heads,
    "local": lambda model, texts: local_heads(model, texts, window=WINDOW),
    "global": lambda model, texts: global_heads(model, texts, window=WINDOW),
    "positional": lambda model, texts: positional_heads(model, texts, max_offset=OFFSET),
    "rare": lambda model, texts: rare_word_heads(model, texts, share=0.4),
}


def square_patterns(bridge, tokens: Tensor) -> dict[int, Tensor]:
    kept = {}

    def keep(pattern, hook):
        kept[hook.layer()] = pattern[0].float()

    names = [f"blocks.{layer}.attn.hook_pattern" for layer, _ in bridge.blocks_with("attn")]
    with torch.inference_mode(), bridge.hooks(fwd_hooks=[(name, keep) for name in names]):
        bridge(tokens[None], return_type=None)
    return kept


def row_value(name: str, a: Tensor, x: list[int], q: int, rare: set[int]) -> float:
    """One row of one head, as the definitions say; NaN where it does not count."""
    weight = a[q].tolist()
    if name == "previous":
        return weight[q - 1] if q else math.nan
    if name == "duplicate":
        keys = [j for j in range(q) if x[j] == x[q]]
        return sum(weight[j] for j in keys) if keys else math.nan
    if name == "induction":
        keys = [j for j in range(1, q + 1) if x[j - 1] == x[q] and j - 1 < q]
        return sum(weight[j] for j in keys) if keys else math.nan
    if name == "sink":
        return weight[0] if q else math.nan
    if name == "local":
        return sum(weight[q - WINDOW + 1 : q + 1]) if q > WINDOW else math.nan
    if name == "global":
        return sum(weight[1 : q - WINDOW + 1]) if q > WINDOW else math.nan
    best = max(range(len(weight)), key=lambda j: (weight[j], -j))
    return float(x[best] in rare) if any(x[j] in rare for j in range(q + 1)) else math.nan


def reference(name: str, a: Tensor, x: list[int]) -> float:
    """Mean over the rows of one head, in plain loops."""
    if name == "positional":
        rows = [q - int(a[q].argmax()) for q in range(OFFSET + 1, len(x))]
        return max(rows.count(d) / len(rows) for d in range(OFFSET + 1))
    rare: set[int] = set()
    for count in sorted({x.count(token) for token in x}):
        more = {token for token in x if x.count(token) == count}
        if sum(x.count(token) for token in rare | more) > 0.4 * len(x):
            break
        rare |= more
    values = [row_value(name, a, x, q, rare) for q in range(len(x))]
    counted = [value for value in values if not math.isnan(value)]
    return sum(counted) / len(counted)


@pytest.fixture(scope="module")
def text() -> Tensor:
    """30 tokens of which some come twice, some three times."""
    generator = torch.Generator().manual_seed(4)
    tokens = torch.randint(20, 60, (12,), generator=generator)
    return torch.cat([tokens, tokens[:9], torch.randint(20, 90, (9,), generator=generator)])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_detectors_equal_plain_loops(tiny_model, text, architecture) -> None:
    bridge = tiny_model(architecture).bridge
    patterns = square_patterns(bridge, text)
    tolerance = weight_rounding(bridge, len(text))
    for name, find in FIND.items():
        found = find(bridge, [text]).mean()
        assert found.shape[0] == bridge.cfg.n_layers
        for layer in range(bridge.cfg.n_layers):
            if layer not in patterns:
                assert found[layer].isnan().all()
                continue
            for head, a in enumerate(patterns[layer]):
                expected = reference(name, a, text.tolist())
                assert float(found[layer, head]) == pytest.approx(expected, abs=tolerance), name


def test_reading_in_chunks_equals_squares(llama) -> None:
    tokens = torch.randint(2, 300, (1100,), generator=torch.Generator().manual_seed(3))
    n_rows = []

    def count(pattern, hook):
        n_rows.append(pattern.shape[2])

    with llama.hooks(fwd_hooks=[("blocks.0.attn.hook_pattern", count)]):
        found = duplicate_token_heads(llama, [tokens]).mean()
    assert max(n_rows) == 128
    for layer, pattern in square_patterns(llama, tokens).items():
        same = (tokens[:, None] == tokens[None]) & torch.ones(1100, 1100).tril(-1).bool()
        rows = (pattern * same).sum(-1)[:, same.any(-1)].double().mean(-1)
        torch.testing.assert_close(found[layer], rows, rtol=0, atol=weight_rounding(llama, 1100))


def planting(rule):
    """A hook that gives head 2 of layer 1 the pattern of a rule, and uniform ones to the others."""

    def plant(pattern, hook):
        n = pattern.shape[-1]
        assert pattern.shape[-2] == n
        planted = torch.ones(n, n).tril() / torch.arange(1, n + 1)[:, None]
        planted = planted.expand_as(pattern).clone()
        planted[:, 2] = torch.eye(n)[torch.tensor([rule(q) for q in range(n)])]
        return planted

    return [("blocks.1.attn.hook_pattern", plant)]


RULES = {
    "previous": lambda q: max(q - 1, 0),
    "duplicate": lambda q: q - 16 if q > 16 else 0,
    "induction": lambda q: q - 15 if q > 16 else 0,
    "sink": lambda q: 0,
    "local": lambda q: max(q - 2, 0),
    "global": lambda q: 1 if q > 10 else 0,
    "positional": lambda q: max(q - 3, 0),
}


@pytest.mark.parametrize("name", RULES)
def test_a_planted_head_is_found_with_its_score(llama, name) -> None:
    (tokens,) = repeated_random_tokens(llama, n_tokens=16, n_sequences=1)
    assert len(tokens) == 33
    with llama.hooks(fwd_hooks=planting(RULES[name])):
        scores = FIND[name](llama, [tokens])
    # Of the rows that count for "global", the first five look at the sink.
    expected = 22 / 27 if name == "global" else 1.0
    assert float(scores.mean()[1, 2]) == pytest.approx(expected, abs=1e-6)
    if name != "global":
        assert scores.top(1)[0].label == "L1H2"


def test_a_planted_rare_word_head_is_found(llama) -> None:
    tokens = torch.tensor([10, 11, 12] * 12)
    tokens[5] = 77
    with llama.hooks(fwd_hooks=planting(lambda q: 5 if q >= 5 else 0)):
        scores = rare_word_heads(llama, [tokens], share=0.1)
    assert float(scores.mean()[1, 2]) == 1.0


def test_local_global_and_sink_attention_add_to_one(llama, text) -> None:
    near, far = FIND["local"](llama, [text]).mean(), FIND["global"](llama, [text]).mean()
    # The sink over the rows that the other two count.
    sink = torch.stack(
        [a[:, WINDOW + 1 :, 0].double().mean(-1) for a in square_patterns(llama, text).values()]
    )
    torch.testing.assert_close(near + far + sink, torch.ones_like(near), rtol=0, atol=1e-6)


def test_transformer_lens_own_scores_are_reproduced(llama, tiny_tokenizer) -> None:
    words = "otter bridge lantern boats crimson harbour"
    text = f"The {words} and the {words} again."
    tokens = llama.to_tokens(text)[0]
    n = len(tokens)
    x = tokens.tolist()
    n_repeated = sum(x[q] in x[:q] for q in range(n))
    assert 0 < n_repeated < n
    kinds = {
        "induction_head": (induction_heads, n_repeated),
        "duplicate_token_head": (duplicate_token_heads, n_repeated),
        "previous_token_head": (previous_token_heads, n - 1),
    }
    for kind, (find, n_rows) in kinds.items():
        theirs = detect_head(llama, text, kind).double()
        ours = find(llama, [tokens]).mean() * n_rows / n
        torch.testing.assert_close(ours, theirs, rtol=0, atol=weight_rounding(llama, n))


def test_prefix_matching_is_induction_on_25_tokens_four_times(llama) -> None:
    sequences = repeated_random_tokens(llama, n_tokens=25, n_repeats=4, n_sequences=2, seed=3)
    assert [len(one) for one in sequences] == [101, 101]
    found = prefix_matching_heads(llama, n_sequences=2, seed=3)
    torch.testing.assert_close(
        found.values, induction_heads(llama, sequences).values, rtol=0, atol=0
    )


def test_repeated_tokens_are_distinct_seeded_and_without_the_excluded(llama) -> None:
    one, other = repeated_random_tokens(llama, n_tokens=20, n_sequences=2, seed=1)
    assert one[0] == llama.tokenizer.bos_token_id
    assert len(set(one[1:21].tolist())) == 20
    assert one[1:21].tolist() == one[21:].tolist() != other[1:21].tolist()
    again = repeated_random_tokens(llama, n_tokens=20, n_sequences=2, seed=1, exclude=one.tolist())
    assert not set(again[0][1:].tolist()) & set(one.tolist())
    with pytest.raises(ValueError, match=r"Expected 1000 different tokens to draw; found \d+"):
        repeated_random_tokens(llama, n_tokens=1000)


def test_the_model_is_left_as_it_was(llama, text) -> None:
    before = llama(text[None], return_type="logits")
    previous_token_heads(llama, [text])
    assert llama.list_hooks(dir="fwd") == {}
    assert torch.equal(llama(text[None], return_type="logits"), before)


def test_bad_inputs_are_refused(llama, text) -> None:
    with pytest.raises(TypeError, match="Expected sequences to be a list"):
        sink_heads(llama, "a text")
    with pytest.raises(ValueError, match="Expected sequences with a row that tells induction"):
        induction_heads(llama, [torch.arange(5, 25)])
    with pytest.raises(ValueError, match="window to be a whole number of 1 or more; found 0"):
        local_heads(llama, [text], window=0)
    with pytest.raises(ValueError, match=r"Expected tokens that together hold at most 0\.01"):
        rare_word_heads(llama, [text], share=0.01)


def test_the_table_names_every_kind_once_with_a_source() -> None:
    assert len({one.function.__doc__ for one in DETECTORS.values()}) >= 17
    for name, one in DETECTORS.items():
        assert one.name == name
        assert "arXiv:" in one.source or "DEFINITIONS" in one.source
    assert {one.stage for one in DETECTORS.values()} == {
        "knowledge recalling",
        "in-context identification",
        "latent reasoning",
        "expression preparation",
    }
