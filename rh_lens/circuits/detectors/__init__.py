"""Detectors of the kinds of heads that the field knows, one a file, and the table of them."""

from rh_lens.circuits.detectors.context_memory import context_memory_heads
from rh_lens.circuits.detectors.copying import copy_suppression_heads, copying_heads
from rh_lens.circuits.detectors.describe import HeadSurvey, describe_heads, survey_inputs
from rh_lens.circuits.detectors.detector import Detector, Stage, SurveyInputs
from rh_lens.circuits.detectors.duplicate_token import duplicate_token_heads
from rh_lens.circuits.detectors.induction import induction_heads, prefix_matching_heads
from rh_lens.circuits.detectors.knowledge import relation_heads, subject_heads
from rh_lens.circuits.detectors.local import global_heads, local_heads
from rh_lens.circuits.detectors.name_mover import name_mover_heads, negative_name_mover_heads
from rh_lens.circuits.detectors.positional import positional_heads
from rh_lens.circuits.detectors.previous_token import previous_token_heads
from rh_lens.circuits.detectors.rare_word import rare_word_heads
from rh_lens.circuits.detectors.retrieval import retrieval_heads
from rh_lens.circuits.detectors.s_inhibition import s_inhibition_heads
from rh_lens.circuits.detectors.sink import sink_heads
from rh_lens.circuits.detectors.table import DETECTORS
from rh_lens.circuits.detectors.truthfulness import statement_features, truthfulness_heads

__all__ = [
    "DETECTORS",
    "Detector",
    "HeadSurvey",
    "Stage",
    "SurveyInputs",
    "context_memory_heads",
    "copy_suppression_heads",
    "copying_heads",
    "describe_heads",
    "duplicate_token_heads",
    "global_heads",
    "induction_heads",
    "local_heads",
    "name_mover_heads",
    "negative_name_mover_heads",
    "positional_heads",
    "prefix_matching_heads",
    "previous_token_heads",
    "rare_word_heads",
    "relation_heads",
    "retrieval_heads",
    "s_inhibition_heads",
    "sink_heads",
    "statement_features",
    "subject_heads",
    "survey_inputs",
    "truthfulness_heads",
]
