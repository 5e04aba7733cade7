from collections import Counter
from itertools import permutations

import pytest

from rh_lens.heads import Head
from rh_lens.interventions import draw_rankings

DEMO = {"n_layers": 4, "n_heads": 8}
RETRIEVAL = [Head(2, 4), Head(2, 5), Head(2, 3), Head(2, 2)]
MIXED = [Head(0, 0), Head(1, 2), Head(0, 1), Head(1, 3)]


def nested(ranking, ks):
    return tuple(frozenset(ranking[:k]) for k in ks)


@pytest.mark.parametrize(
    ("family", "ks", "n_others"),
    [
        ("layer", [4], 69),  # 8 over 4, less the ranking itself
        ("layer", [1, 2, 3, 4], 8 * 7 * 6 * 5 - 1),
        ("layer", [1, 4], 8 * 35 - 1),
        ("kv-group", [4], 4 * 3 // 2 - 1),  # two groups of four groups, both heads of each
        ("kv-group", [1, 2], 4 * 2 - 1),  # a group, and which of its heads comes first
        (None, [4], 35960 - 1),
    ],
)
def test_the_rankings_that_exist_are_counted(family, ks, n_others):
    found = draw_rankings(RETRIEVAL, ks, n_draws=1, family=family, n_kv_heads=4, **DEMO)
    assert found.n_possible == n_others


@pytest.mark.parametrize("family", ["layer", "kv-group", None])
def test_all_that_exist_are_drawn_and_no_more(family):
    small = {"n_layers": 2, "n_heads": 4, "n_kv_heads": 2}
    heads = [Head(layer, head) for layer in range(2) for head in range(4)]
    orders = permutations(heads) if family is None else inside_layers(heads, family)
    ks = [1, 3, 4]
    exchanged = (dict(zip(heads, order, strict=True)) for order in orders)
    everything = {nested([one[head] for head in MIXED], ks) for one in exchanged}
    found = draw_rankings(MIXED, ks, n_draws=10_000, family=family, **small)
    drawn = [nested(draw, ks) for draw in found.draws]
    assert len(drawn) == len(set(drawn)) == found.n_possible == len(everything) - 1
    assert set(drawn) == everything - {nested(MIXED, ks)}
    assert found.smallest_pvalue == 1 / len(everything)


def inside_layers(heads, family):
    """All exchanges of two layers of four heads in two groups."""
    of_one = [
        order
        for order in permutations(range(4))
        if family == "layer" or order[0] // 2 == order[1] // 2
    ]
    for first in of_one:
        for second in of_one:
            yield [heads[i] for i in first] + [heads[4 + i] for i in second]


def test_every_ranking_is_as_likely_as_another():
    n, counts = 3000, Counter()
    for seed in range(n):
        found = draw_rankings([Head(0, 0), Head(0, 1)], [1, 2], n_layers=1, n_heads=3, n_draws=1,
                              seed=seed)  # fmt: skip
        counts[found.draws[0]] += 1
    assert len(counts) == 5
    # Standard deviation of a count: sqrt(3000 x 0.2 x 0.8) = 22.
    assert all(abs(count - n / 5) < 4 * 22 for count in counts.values())


def test_more_draws_go_on_where_fewer_ended():
    few = draw_rankings(RETRIEVAL, [2, 4], n_draws=5, seed=3, **DEMO)
    many = draw_rankings(RETRIEVAL, [2, 4], n_draws=50, seed=3, **DEMO)
    assert many.draws[:5] == few.draws
    other = draw_rankings(RETRIEVAL, [2, 4], n_draws=5, seed=4, **DEMO)
    assert other.draws != few.draws


def test_heads_stay_in_their_layers_and_absent_ones_are_not_drawn():
    absent = [Head(0, head) for head in range(8)]
    ranking = [Head(1, 6), *RETRIEVAL]
    for draw in draw_rankings(ranking, [1, 5], n_draws=30, **DEMO).draws:
        assert [head.layer for head in draw] == [1, 2, 2, 2, 2]
    anywhere = draw_rankings(ranking, [5], n_draws=30, family=None, absent=absent, **DEMO)
    assert anywhere.n_possible == 42504 - 1  # 24 over 5
    assert not {head.layer for draw in anywhere.draws for head in draw} & {0}


@pytest.mark.parametrize(
    ("heads", "ks", "options", "message"),
    [
        (RETRIEVAL, [5], {}, r"from 1 to 4, the heads of the ranking; found \[5\]"),
        (RETRIEVAL, [], {}, r"found \[\]"),
        ([Head(9, 0)], [1], {}, "layers of 8 heads that have attention; found L9H0"),
        ([Head(0, 0)], [1], {"absent": [Head(0, 0)]}, "found L0H0"),
        (RETRIEVAL, [1], {"family": "kv-group"}, "Expected n_kv_heads"),
    ],
)
def test_what_cannot_be_drawn_is_refused(heads, ks, options, message):
    with pytest.raises(ValueError, match=message):
        draw_rankings(heads, ks, n_draws=1, **DEMO, **options)
