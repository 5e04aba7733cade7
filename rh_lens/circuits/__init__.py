"""Retrieval heads in TransformerLens's terms: pairs of prompts, patching, attribution, circuits."""

from rh_lens.circuits.agreement import EffectPrediction, predict_effect, retrieval_detectors
from rh_lens.circuits.attention_rows import AttentionRows, row_means
from rh_lens.circuits.attribution import SourceContributions, source_contributions, write_scores
from rh_lens.circuits.attribution_patching import (
    HeadEstimates,
    ScreenAgreement,
    attribution_patch_heads,
)
from rh_lens.circuits.circuit_graph import circuit_graph, draw_circuit, to_dot
from rh_lens.circuits.composition import Composition, CompositionKind, composition_scores
from rh_lens.circuits.detectors import (
    DETECTORS,
    Detector,
    HeadSurvey,
    context_memory_heads,
    copy_suppression_heads,
    copying_heads,
    describe_heads,
    duplicate_token_heads,
    global_heads,
    induction_heads,
    local_heads,
    name_mover_heads,
    negative_name_mover_heads,
    positional_heads,
    prefix_matching_heads,
    previous_token_heads,
    rare_word_heads,
    relation_heads,
    retrieval_heads,
    s_inhibition_heads,
    sink_heads,
    statement_features,
    subject_heads,
    truthfulness_heads,
)
from rh_lens.circuits.head_effects import head_effects, patching_effects
from rh_lens.circuits.head_features import head_features
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.circuits.logit_attribution import Component, LogitAttribution, attribute_logits
from rh_lens.circuits.marked_text import MarkedText, fact_prompts, mark_text, name_prompts
from rh_lens.circuits.mediation import Mediation, mediated_effect
from rh_lens.circuits.metrics import (
    Metric,
    MetricName,
    answer_log_probability,
    answer_logit_difference,
)
from rh_lens.circuits.needle_knock_out import CutSpan, KnockOut, knock_out_needle
from rh_lens.circuits.ov_copying import CopyingScores, copying_scores
from rh_lens.circuits.overlap import HeadOverlap, compare_kinds
from rh_lens.circuits.pair_runs import Into, Part, Rows
from rh_lens.circuits.pairs import Corruption, PairBatch, PromptPair, make_pair, make_pairs
from rh_lens.circuits.patched_decoding import patched_answer
from rh_lens.circuits.patching import PairsLike, Patching, patch_head_sets, patch_heads
from rh_lens.circuits.path_patching import PathEnds, PathPatching, Via, path_patch
from rh_lens.circuits.probe_questions import firing_features, presence_features, success_features
from rh_lens.circuits.probing import HeadFeatures, ProbeResult, probe_heads
from rh_lens.circuits.question_attention import contrastive_heads, query_focused_heads
from rh_lens.circuits.read_write import ReadWrite, ReadWriteKind, read_write_table
from rh_lens.circuits.readout import Against
from rh_lens.circuits.respelling import NotAlignedError
from rh_lens.circuits.token_sequences import repeated_random_tokens

__all__ = [
    "DETECTORS",
    "Against",
    "AttentionRows",
    "Component",
    "Composition",
    "CompositionKind",
    "CopyingScores",
    "Corruption",
    "CutSpan",
    "Detector",
    "EffectPrediction",
    "HeadEstimates",
    "HeadFeatures",
    "HeadOverlap",
    "HeadScores",
    "HeadSurvey",
    "Into",
    "KnockOut",
    "LogitAttribution",
    "MarkedText",
    "Mediation",
    "Metric",
    "MetricName",
    "NotAlignedError",
    "PairBatch",
    "PairsLike",
    "Part",
    "Patching",
    "PathEnds",
    "PathPatching",
    "ProbeResult",
    "PromptPair",
    "ReadWrite",
    "ReadWriteKind",
    "Rows",
    "ScreenAgreement",
    "SourceContributions",
    "Via",
    "answer_log_probability",
    "answer_logit_difference",
    "attribute_logits",
    "attribution_patch_heads",
    "circuit_graph",
    "compare_kinds",
    "composition_scores",
    "context_memory_heads",
    "contrastive_heads",
    "copy_suppression_heads",
    "copying_heads",
    "copying_scores",
    "describe_heads",
    "draw_circuit",
    "duplicate_token_heads",
    "fact_prompts",
    "firing_features",
    "global_heads",
    "head_effects",
    "head_features",
    "induction_heads",
    "knock_out_needle",
    "local_heads",
    "make_pair",
    "make_pairs",
    "mark_text",
    "mediated_effect",
    "name_mover_heads",
    "name_prompts",
    "negative_name_mover_heads",
    "patch_head_sets",
    "patch_heads",
    "patched_answer",
    "patching_effects",
    "path_patch",
    "positional_heads",
    "predict_effect",
    "prefix_matching_heads",
    "presence_features",
    "previous_token_heads",
    "probe_heads",
    "query_focused_heads",
    "rare_word_heads",
    "read_write_table",
    "relation_heads",
    "repeated_random_tokens",
    "retrieval_detectors",
    "retrieval_heads",
    "row_means",
    "s_inhibition_heads",
    "sink_heads",
    "source_contributions",
    "statement_features",
    "subject_heads",
    "success_features",
    "to_dot",
    "truthfulness_heads",
    "write_scores",
]
