import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import make_prompt
from tiny_models import TEXT

from rh_lens.prompts import build_grid, default_needles, text_haystack
from rh_lens.runs import Shard, deal_prompts
from rh_lens.runs.shards import unit_for
from rh_lens.runtime import plan, plan_prompts


@pytest.fixture
def small_units(monkeypatch):
    monkeypatch.setattr(plan, "UNIT", 3)


prompts = st.lists(
    st.lists(st.integers(0, 2), min_size=3, max_size=9).map(lambda ids: make_prompt(ids, (1, 2))),
    min_size=1,
    max_size=20,
)


@given(prompts, st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_every_prompt_is_dealt_once_and_units_stay_whole(prompts, n_shards):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "UNIT", 3)
        dealt = deal_prompts(prompts, n_shards)
        assert dealt == deal_prompts(prompts, n_shards)
        unit = unit_for(len(prompts), n_shards)
        units = plan_prompts([prompt.tokens for prompt in prompts], unit=unit).units
    assert len(dealt) == n_shards
    assert sorted(index for shard in dealt for index in shard) == list(range(len(prompts)))
    for unit in units:
        assert sum(bool(set(unit) & set(shard)) for shard in dealt) == 1


def test_shards_have_about_equal_work(tiny_tokenizer):
    """288 prompts in 9 units: none of 3 shards has over 36 % of the tokens, as sharing goes on."""
    grid = build_grid(
        tiny_tokenizer,
        text_haystack([TEXT] * 8),
        default_needles(),
        context_lengths=[260, 340, 420, 500],
        depths=6,
    )
    assert len(grid) == 288
    shards = deal_prompts(grid, 3)
    costs = [plan_prompts([grid[index].tokens for index in shard]).n_computed for shard in shards]
    whole = plan_prompts([prompt.tokens for prompt in grid])
    assert max(costs) < 0.36 * sum(costs)
    assert sum(costs) < 1.01 * whole.n_computed


def test_there_may_be_more_shards_than_prompts(otter_prompt):
    assert deal_prompts([otter_prompt] * 2, 3) == ((0,), (1,), ())


def test_one_length_keeps_eight_processes_busy(tiny_tokenizer):
    """120 prompts are 4 units of one process; each of 8 shards gets an eighth of the tokens."""
    haystack, needles = text_haystack([TEXT] * 8), default_needles()
    options = {"context_lengths": [400], "depths": 10}
    grid = build_grid(tiny_tokenizer, haystack, needles, **options)
    assert len(plan_prompts([prompt.tokens for prompt in grid]).units) < 8
    shards = deal_prompts(grid, 8)
    unit = unit_for(len(grid), 8)
    plan = plan_prompts([prompt.tokens for prompt in grid], unit=unit)
    costs = {step.prompt: len(grid[step.prompt].tokens) - step.n_shared for step in plan.steps}
    loads = [sum(costs[index] for index in shard) for shard in shards]
    assert unit == len(grid) // 16
    assert max(loads) < 1.25 * sum(loads) / 8
    assert unit_for(len(grid), 4) is None


@pytest.mark.usefixtures("small_units")
def test_a_shard_knows_its_prompts_and_its_folder():
    several = [make_prompt([n, 2, 3], (1, 2)) for n in range(6)]
    assert Shard(1, 2).prompts(several) == (0, 1, 2)
    assert Shard.parse("2/2").prompts(several) == (3, 4, 5)
    assert Shard.parse("2/16").folder == "shard-2-of-16"
    assert str(Shard(3, 8)) == "3/8"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0/2", "Expected a shard from 1/2 to 2/2; found number 0 of 2"),
        ("3/2", "Expected a shard from 1/2 to 2/2; found number 3 of 2"),
        ("2", "Expected a shard such as 2/8; found '2'"),
        ("a/b", "Expected a shard such as 2/8; found 'a/b'"),
        ("", "Expected a shard such as 2/8; found ''"),
        ("1/1000000000", "Expected 65,536 shards or fewer; found 1,000,000,000. Each is a process"),
        (f"1/{'9' * 9999}", "Expected a shard such as 2/8; found '1/9999"),
    ],
)
def test_a_shard_that_is_none_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Shard.parse(text)


def test_dealing_to_nobody_is_refused():
    with pytest.raises(ValueError, match="Expected 1 to 65,536 shards; found 0"):
        deal_prompts([make_prompt(torch.arange(4).tolist(), (1, 2))], 0)
    with pytest.raises(ValueError, match="65,536 shards; found 1,000,000,000"):
        deal_prompts([make_prompt(torch.arange(4).tolist(), (1, 2))], 10**9)
