"""Retrieval heads in TransformerLens's terms: pairs of prompts, patching, attribution, circuits."""

from rh_lens.circuits.metrics import (
    Metric,
    MetricName,
    answer_log_probability,
    answer_logit_difference,
)
from rh_lens.circuits.pair_runs import Into, Part, Rows
from rh_lens.circuits.pairs import (
    Corruption,
    PairBatch,
    PromptPair,
    make_pair,
    make_pairs,
)
from rh_lens.circuits.patching import (
    PairsLike,
    Patching,
    patch_head_sets,
    patch_heads,
    patched_answer,
)
from rh_lens.circuits.respelling import NotAlignedError

__all__ = [
    "Corruption",
    "Into",
    "Metric",
    "MetricName",
    "NotAlignedError",
    "PairBatch",
    "PairsLike",
    "Part",
    "Patching",
    "PromptPair",
    "Rows",
    "answer_log_probability",
    "answer_logit_difference",
    "make_pair",
    "make_pairs",
    "patch_head_sets",
    "patch_heads",
    "patched_answer",
]
