"""Benchmark: detection against what a user would run instead."""

from rh_lens.bench.measure import Measurement, measure
from rh_lens.bench.methods import METHODS, Bench, make_bench
from rh_lens.bench.models import BenchModel, bench_models, bench_prompts
from rh_lens.bench.table import Row, run_benchmark, to_dataframe

__all__ = [
    "METHODS",
    "Bench",
    "BenchModel",
    "Measurement",
    "Row",
    "bench_models",
    "bench_prompts",
    "make_bench",
    "measure",
    "run_benchmark",
    "to_dataframe",
]
