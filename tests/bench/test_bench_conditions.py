"""The benchmark of conditions asks what it says it asks."""

import pytest
import torch

from rh_lens.bench import conditions, conditions_table
from rh_lens.bench import models as bench_models_file
from rh_lens.bench.models import BenchModel, bench_prompts

CPU = torch.device("cpu")


def test_nineteen_ablations_of_two_heads_stand_beside_the_untouched_model():
    bench = bench_models_file.bundled(CPU)
    made = conditions.make_conditions(bench, 20)
    assert len(made) == 20
    assert made["untouched"].hooks == ()
    assert {condition.scope for condition in made.values()} == {"decode"}
    assert all(1 <= len(made[f"draw {draw}"].hooks) <= 2 for draw in range(1, 20))


@pytest.mark.slow
def test_a_row_tells_how_many_times_one_condition_the_others_cost():
    bench = bench_models_file.bundled(CPU)
    model = BenchModel("bundled", (128,), lambda: bench, "accepted")
    row = conditions._row(model, bench, bench_prompts(128)[:1], CPU, n_repeats=1)
    assert (row.n_conditions, row.context_length) == (20, 128)
    assert 1 < row.ratio[0] <= row.ratio[1] <= row.ratio[2] < 20
    assert list(conditions_table([row])["conditions"]) == [20]
