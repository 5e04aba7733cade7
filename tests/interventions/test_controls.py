import math
import time
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rh_lens.heads import Head
from rh_lens.interventions.controls import NoControlsError, control_heads

RETRIEVAL = [Head(2, head) for head in (2, 3, 4, 5)]
DEMO = {"n_layers": 4, "n_heads": 8, "n_kv_heads": 4}


def layers(heads):
    return Counter(head.layer for head in heads)


def grouping(heads, n_heads, n_kv_heads):
    """For each layer the sorted numbers of heads in its used KV groups."""
    groups = Counter((head.layer, head.head * n_kv_heads // n_heads) for head in heads)
    return {layer: sorted(n for key, n in groups.items() if key[0] == layer) for layer, _ in groups}


def all_controls(heads, exclude, match, n_layers, n_heads, n_kv_heads):
    """Every set that qualifies, by going through all sets of heads."""
    model = [Head(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    free = [head for head in model if head not in heads and head not in exclude]
    group = n_heads // n_kv_heads
    taken_groups = {(head.layer, head.head // group) for head in heads}
    found = set()
    for chosen in combinations(free, len(heads)):
        if match is not None and layers(chosen) != layers(heads):
            continue
        if match == "kv-group":
            if grouping(chosen, n_heads, n_kv_heads) != grouping(heads, n_heads, n_kv_heads):
                continue
            if any((head.layer, head.head // group) in taken_groups for head in chosen):
                continue
        found.add(chosen)
    return found


@st.composite
def models(draw):
    n_layers = draw(st.integers(1, 3))
    n_kv_heads, group = draw(st.sampled_from([(4, 1), (2, 2), (3, 2), (1, 3), (2, 3)]))
    model = [Head(la, he) for la in range(n_layers) for he in range(n_kv_heads * group)]
    order = draw(st.permutations(model))
    n = draw(st.integers(1, min(4, len(model))))
    n_excluded = draw(st.integers(0, 3))
    return order[:n], order[n : n + n_excluded], n_layers, n_kv_heads * group, n_kv_heads


@settings(max_examples=60, deadline=None)
@given(models(), st.sampled_from([None, "layer", "kv-group"]), st.integers(0, 3))
def test_controls_are_the_sets_that_plain_loops_find(model, match, seed):
    heads, exclude, n_layers, n_heads, n_kv_heads = model
    shape = {"n_layers": n_layers, "n_heads": n_heads, "n_kv_heads": n_kv_heads}
    expected = all_controls(heads, exclude, match, **shape)
    options = {**shape, "match": match, "exclude": exclude, "seed": seed}
    if not expected:
        with pytest.raises(NoControlsError):
            control_heads(heads, **options)
        return
    everything = control_heads(heads, n_draws=10_000, **options)
    assert everything.n_possible == len(expected) == len(everything.draws)
    assert set(everything.draws) == expected
    some = control_heads(heads, n_draws=3, **options)
    assert len(set(some.draws)) == len(some.draws) == min(3, len(expected))
    assert set(some.draws) <= expected


@pytest.mark.slow
def test_every_set_is_as_likely_as_every_other():
    heads, n = [Head(0, 0), Head(0, 1), Head(1, 0)], 3000
    options = {"n_layers": 2, "n_heads": 8, "n_kv_heads": 4, "match": "kv-group", "n_draws": 1}
    drawn = Counter(control_heads(heads, seed=seed, **options).draws[0] for seed in range(n))
    # Layer 0: one of three pairs; layer 1: one of the six heads of other groups.
    assert len(drawn) == 18
    assert max(drawn.values()) < 1.4 * n / 18
    assert min(drawn.values()) > 0.6 * n / 18


def test_the_seed_decides():
    options = {**DEMO, "n_draws": 5}
    first = control_heads(RETRIEVAL, seed=1, **options)
    assert control_heads(RETRIEVAL, seed=1, **options) == first
    assert control_heads(RETRIEVAL[::-1] * 2, seed=1, **options) == first
    assert control_heads(RETRIEVAL, seed=2, **options) != first


def test_a_model_with_one_matching_set_says_so():
    controls = control_heads(RETRIEVAL, match="layer", **DEMO)
    assert controls.draws == (tuple(Head(2, head) for head in (0, 1, 6, 7)),)
    assert controls.n_possible == 1
    assert controls.note == "only 1 control set matched by layer of 10 asked for"


@pytest.mark.parametrize(("k", "n_possible"), [(1, 4), (2, 6), (3, 4), (4, 1)])
def test_excluded_heads_are_no_controls(k, n_possible):
    controls = control_heads(RETRIEVAL[:k], match="layer", exclude=RETRIEVAL, **DEMO)
    assert controls.n_possible == len(controls.draws) == n_possible
    assert {head.head for draw in controls.draws for head in draw} == {0, 1, 6, 7}


def test_pairs_that_share_a_key_value_head_get_pairs_that_do():
    # Two pairs in layer 0, in groups 0 and 1; one single head in layer 1, in group 3.
    heads = [Head(0, 0), Head(0, 1), Head(0, 2), Head(0, 3), Head(1, 7)]
    controls = control_heads(heads, match="kv-group", n_draws=50, **DEMO)
    assert controls.n_possible == 6
    assert {draw[:4] for draw in controls.draws} == {tuple(Head(0, h) for h in (4, 5, 6, 7))}
    assert {draw[4] for draw in controls.draws} == {Head(1, h) for h in range(6)}


def test_draws_that_suffice_have_no_note():
    controls = control_heads(RETRIEVAL, n_draws=10, **DEMO)
    assert (len(controls.draws), controls.n_possible) == (10, math.comb(28, 4))
    assert controls.note == ""


def test_fifty_of_a_thousand_heads_take_no_time():
    heads = [Head(layer, 7 * layer % 32) for layer in range(32)] + [
        Head(layer, (7 * layer + 1) % 32) for layer in range(18)
    ]
    start = time.process_time()
    for match in (None, "layer", "kv-group"):
        controls = control_heads(
            heads, n_layers=32, n_heads=32, n_kv_heads=8, match=match, n_draws=100
        )
        assert len(set(controls.draws)) == 100
        assert controls.n_possible > 2**63
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize(
    ("heads", "options", "message"),
    [
        (
            [Head(2, h) for h in range(5)],
            {"match": "layer"},
            r"Expected free heads: 5 in layer 2, found 3. Take match=None, fewer heads",
        ),
        (
            [Head(0, 0), Head(2, 0), Head(2, 2), Head(2, 4)],
            {"match": "kv-group"},
            r"1 and 1 and 1 in layer 2, found 2. Take match=\"layer\", match=None, fewer heads",
        ),
        (
            [Head(0, 0)],
            {"exclude": [Head(la, he) for la in range(4) for he in range(8)]},
            r"Expected free heads: 1 in the model, found 0. Take fewer heads or a shorter exclude",
        ),
    ],
)
def test_too_few_heads_is_an_error_that_says_where(heads, options, message):
    with pytest.raises(NoControlsError, match=message):
        control_heads(heads, **DEMO, **options)


@pytest.mark.parametrize(
    ("heads", "options", "message"),
    [
        ([], {}, "one head or more; found none"),
        (RETRIEVAL, {"n_draws": 0}, "n_draws to be a whole number from 1 to 1000000; found 0"),
        ([Head(4, 0)], {}, "4 layers of 8 heads; found L4H0"),
        (RETRIEVAL, {"exclude": [Head(0, 8)]}, "4 layers of 8 heads; found L0H8"),
        (RETRIEVAL, {"match": "kv-group", "n_kv_heads": None}, "Expected n_kv_heads"),
        (
            RETRIEVAL,
            {"match": "kv-group", "n_kv_heads": 3},
            "Expected n_kv_heads to divide 8 heads; found 3",
        ),
    ],
)
def test_bad_requests_are_refused(heads, options, message):
    with pytest.raises(ValueError, match=message):
        control_heads(heads, **{**DEMO, **options})
