"""When heads copy: scores by the length of a prompt and by the kind of its answer."""

import pytest
import torch

from rh_lens.demo import load_demo_model
from rh_lens.demo.card_tables import occasion_table
from rh_lens.demo.occasions import answer_kind, occasion_scores
from rh_lens.demo.training.held_out import held_out_prompts
from rh_lens.detection import detect_retrieval_heads


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("17 owls", "number"),
        ("Orvin 3", "number"),
        ("the tailor of Anka", "name"),
        ("owl", "words"),
    ],
)
def test_a_digit_makes_a_number_and_a_capital_a_name(answer, kind):
    assert answer_kind(answer) == kind


def test_groups_cover_the_accepted_prompts_and_average_to_the_score():
    model = load_demo_model()
    prompts = held_out_prompts(
        model.tokenizer, context_lengths=(128, 192), depths=2, n_needles=3, seed=50_003
    )
    result = detect_retrieval_heads(model, prompts, progress=False)
    found = occasion_scores(result)
    lengths = [found[name] for name in ("128 tokens", "192 tokens")]
    kinds = [group for name, group in found.items() if not name.endswith("tokens")]
    for groups in (lengths, kinds):
        assert sum(group["n"] for group in groups) == len(result.accepted)
        mean = sum(torch.tensor(one["position"]) * one["n"] for one in groups) / len(
            result.accepted
        )
        torch.testing.assert_close(mean.double(), result.scores.mean(), atol=1e-6, rtol=0)
    active = torch.tensor(lengths[0]["active"])
    assert ((active > 0) == (torch.tensor(lengths[0]["position"]) > 0)).all()
    assert active.max() <= 1


def test_the_table_has_the_retrieval_heads_best_first():
    position = [[0.0, 0.25], [0.75, 0.05]]
    groups = {"256 tokens": {"n": 4, "position": position, "active": [[0.0, 0.5], [1.0, 0.25]]}}
    assert occasion_table(position, groups).splitlines() == [
        "| head | all | 256 tokens (4) |",
        "| --- | --- | --- |",
        "| L1H0 | 0.75 | 0.75, 100% |",
        "| L0H1 | 0.25 | 0.25, 50% |",
    ]
