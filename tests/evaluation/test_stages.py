"""Answering in stages: who is asked about what, and when no more is asked."""

import torch

from rh_lens.evaluation import KeptAnswer
from rh_lens.evaluation.ablation_plan import AblationPlan, HeadSet
from rh_lens.evaluation.stages import answer_in_stages
from rh_lens.heads import Head
from rh_lens.runtime import Generation


def plan(n_rankings):
    """The untouched model, one top head, and rankings of one head, of which two are the top."""
    drawn = [Head(0, ranking % 6) for ranking in range(n_rankings)]
    sets = [
        HeadSet("none", 0, "none", None, None, ()),
        HeadSet("top", 1, "top", None, None, (Head(0, 0),)),
    ]
    sets += [
        HeadSet(
            "top" if head == Head(0, 0) else f"drawn-{head.head}", 1, "drawn", None, draw, (head,)
        )
        for draw, head in enumerate(drawn)
    ]
    return AblationPlan(tuple(sets), {}, {}, n_rankings=n_rankings, n_planned=n_rankings)


def asked_of(settled, n_rankings=8):
    """What was asked about, stage by stage, and the conditions and prompts of what came back."""
    asked = []

    def ask(names, places):
        asked.append((tuple(names), tuple(places)))
        return {
            (name, place): KeptAnswer(Generation(torch.tensor([3]), f"{name} {place}", "eos"))
            for name in names
            for place in places
        }

    part, kept = answer_in_stages(plan(n_rankings), 4, [0, 2], ask, lambda part, kept: settled)
    return asked, part, kept


def test_no_condition_is_asked_about_twice():
    """A quarter of eight rankings first; the second stage leaves out what the first one has."""
    asked, part, kept = asked_of(settled=False)
    assert asked == [
        (("none", "top"), (0, 1, 2, 3)),
        (("drawn-1",), (0, 2)),
        (("drawn-2", "drawn-3", "drawn-4", "drawn-5"), (0, 2)),
    ]
    assert part.n_rankings == 8
    assert len(kept) == 2 * 4 + 5 * 2
    assert kept["drawn-1", 2].generation.text == "drawn-1 2"


def test_the_rest_is_not_asked_about_when_the_first_quarter_settles_it():
    asked, part, kept = asked_of(settled=True)
    assert [names for names, _ in asked] == [("none", "top"), ("drawn-1",)]
    assert part.n_rankings == 2
    assert len(kept) == 2 * 4 + 1 * 2


def test_without_rankings_nothing_is_asked_about_but_the_compared_sets():
    asked, part, kept = asked_of(settled=False, n_rankings=0)
    assert asked == [(("none", "top"), (0, 1, 2, 3))]
    assert part.n_rankings == 0
    assert len(kept) == 2 * 4
