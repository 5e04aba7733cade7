"""Benchmark: detection against what a user would run instead."""

from rh_lens.bench.agreement import Agreement, agreement
from rh_lens.bench.conditions import ConditionsRow, benchmark_conditions, conditions_table
from rh_lens.bench.finding import FindingRow, benchmark_finding, finding_table
from rh_lens.bench.measure import Measurement, measure
from rh_lens.bench.methods import METHODS, Bench, make_bench
from rh_lens.bench.models import BenchModel, bench_models, bench_prompts, packed_bench_prompts
from rh_lens.bench.table import Row, run_benchmark, to_dataframe
from rh_lens.bench.timed_rows import TimedRows, read_timed_rows, write_timed_rows

__all__ = [
    "METHODS",
    "Agreement",
    "Bench",
    "BenchModel",
    "ConditionsRow",
    "FindingRow",
    "Measurement",
    "Row",
    "TimedRows",
    "agreement",
    "bench_models",
    "bench_prompts",
    "benchmark_conditions",
    "benchmark_finding",
    "conditions_table",
    "finding_table",
    "make_bench",
    "measure",
    "packed_bench_prompts",
    "read_timed_rows",
    "run_benchmark",
    "to_dataframe",
    "write_timed_rows",
]
