"""The benchmark compares like with like, and its instruments measure."""

import time

import pytest
import torch

from rh_lens.bench import (
    METHODS,
    bench_models,
    bench_prompts,
    measure,
    packed_bench_prompts,
    run_benchmark,
    to_dataframe,
)
from rh_lens.bench import models as bench_models_file
from rh_lens.bench import table as bench_table

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bundled():
    return bench_models_file.bundled(CPU)


@pytest.mark.parametrize(("n_tokens", "n_depths"), [(128, 5), (512, 10)])
def test_prompts_hide_one_needle_at_ten_depths_or_those_that_exist(n_tokens, n_depths):
    prompts = bench_prompts(n_tokens)
    assert len({prompt.depth for prompt in prompts}) == len(prompts) == n_depths
    assert {len(prompt.tokens) for prompt in prompts} == {n_tokens}
    assert len({prompt.needle for prompt in prompts}) == 1


def test_the_five_methods_give_the_same_answers(bundled):
    prompts = bench_prompts(128)[3:5]
    expected = METHODS["a"](bundled, prompts)
    assert all(expected)
    for name in "bcde":
        assert METHODS[name](bundled, prompts) == expected


@pytest.mark.slow
def test_a_random_llama_answers_alike_with_every_method_and_never_stops():
    shape = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    bench = bench_models_file.random_llama(shape, CPU)
    prompts = bench_prompts(96)[:2]
    expected = METHODS["a"](bench, prompts)
    assert {len(answer) for answer in expected} == {30}
    for name in "bcde":
        assert METHODS[name](bench, prompts) == expected


@pytest.mark.parametrize(("n_tokens", "n_together"), [(1024, 12), (512, 4), (128, 2), (40, 0)])
def test_packed_prompts_are_two_turns_of_as_many_needles_as_have_a_place(n_tokens, n_together):
    prompts = packed_bench_prompts(n_tokens)
    assert len(prompts) == 2 * n_together
    assert {len(prompt.companions) + 1 for prompt in prompts} == {n_together} - {0}


def test_random_llamas_have_the_precision_asked_for_and_their_rows_are_timed(monkeypatch):
    """As `--device cuda --dtype bfloat16` asks for, with a tiny one on the CPU."""
    tiny = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    tiny |= {"num_attention_heads": 4, "num_key_value_heads": 2}
    monkeypatch.setattr(bench_models_file, "SMALL", tiny)
    model = bench_models(CPU, quick=False, dtype=torch.bfloat16)[1]
    bench = model.make()
    assert {one.dtype for one in bench.plain.parameters()} == {torch.bfloat16}
    assert bench.bridge.cfg.dtype == torch.bfloat16
    monkeypatch.setattr(bench_table, "METHODS", {name: METHODS[name] for name in "aef"})
    monkeypatch.setattr(bench_table, "bench_prompts", lambda *a: bench_prompts(*a)[:2])
    rows = list(bench_table._cell(model, bench, 128, 1, CPU))
    assert [(row.method, row.n_prompts) for row in rows] == [("a", 2), ("e", 2), ("f", 4)]
    assert bench_models(CPU, quick=False)[1].make().bridge.cfg.dtype == torch.float32


def test_memory_and_time_are_measured():
    def hold_200_megabytes():
        block = torch.ones(50_000_000)
        time.sleep(0.05)
        return float(block[0])

    first = measure(hold_200_megabytes, CPU)
    again = measure(hold_200_megabytes, CPU)
    assert first.value == 1.0
    assert first.seconds >= 0.05
    for run in (first, again):
        assert run.megabytes is None or 195 < run.megabytes < 230


@pytest.mark.slow
@pytest.mark.parametrize("n_prompts", [3, 5])
def test_the_table_has_a_row_for_each_method_with_ratios(bundled, monkeypatch, n_prompts):
    model = bench_models_file.BenchModel("bundled", (128,), lambda: bundled, "accepted")
    monkeypatch.setattr(bench_table, "bench_models", lambda device, quick, dtype: [model])
    monkeypatch.setattr(bench_table, "bench_prompts", lambda *a: bench_prompts(*a)[:n_prompts])
    (rows,) = run_benchmark(CPU, n_repeats=1, progress=False)
    assert [row.method for row in rows] == list("abcdef")
    assert rows[0].ratio == (1.0, 1.0, 1.0)
    assert [row.n_prompts for row in rows] == [n_prompts, 2, 2, 2, n_prompts, 4]
    assert all(row.same_tokens for row in rows)
    table = to_dataframe(rows)
    assert table["time / (a)"][0] == "1.00 (1.00-1.00)"
    assert set(table["same tokens"]) == {"yes"}


def test_no_repeats_are_refused():
    with pytest.raises(
        ValueError, match="n_repeats to be a whole number from 1 to 1000000; found 0"
    ):
        next(run_benchmark(CPU, n_repeats=0))


def test_patterns_that_fill_the_memory_are_not_tried(bundled):
    assert bench_table._fits("b", bundled, 2048)
    assert not bench_table._fits("b", bundled, 20_000)
    assert not bench_table._fits("c", bundled, 20_000)
    assert bench_table._fits("e", bundled, 1_000_000)


def test_large_models_are_for_accelerators():
    assert [model.name for model in bench_models(CPU, quick=True)] == ["bundled"]
    assert len(bench_models(CPU, quick=False)) == 3
    assert [model.name for model in bench_models(torch.device("cuda"), quick=False)][3:] == [
        "random 1B",
        "random 8B",
    ]
    assert bench_models(torch.device("cuda"), quick=False)[3].lengths[0] == 4096
