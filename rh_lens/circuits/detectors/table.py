"""The table of all detectors: what each measures, for which stage, after whom."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from torch import Tensor

from rh_lens.circuits.detectors.context_memory import context_memory_heads
from rh_lens.circuits.detectors.copying import copy_suppression_heads, copying_heads
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
from rh_lens.circuits.detectors.truthfulness import statement_features, truthfulness_heads
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.circuits.marked_text import MarkedText
from rh_lens.detection import ScoreName
from rh_lens.runtime import Bridge

Reading: TypeAlias = Callable[[Bridge, Sequence[Tensor]], HeadScores]
Asking: TypeAlias = Callable[[Bridge, Sequence[MarkedText]], HeadScores]


def _on_repeated(find: Reading, model: Bridge, inputs: SurveyInputs) -> HeadScores:
    return find(model, inputs.repeated)


def _on_text(find: Reading, model: Bridge, inputs: SurveyInputs) -> HeadScores:
    return find(model, inputs.texts)


def _on_names(find: Asking, model: Bridge, inputs: SurveyInputs) -> HeadScores:
    return find(model, inputs.names)


def _on_facts(find: Asking, model: Bridge, inputs: SurveyInputs) -> HeadScores:
    return find(model, inputs.facts)


def _retrieval(score: ScoreName, model: Bridge, inputs: SurveyInputs) -> HeadScores:
    assert inputs.detection is not None
    return retrieval_heads(inputs.detection, score)


def _prefix_matching(model: Bridge, inputs: SurveyInputs) -> HeadScores:
    return prefix_matching_heads(model, seed=inputs.seed)


def _context_memory(model: Bridge, inputs: SurveyInputs) -> HeadScores:
    return context_memory_heads(model, inputs.prompts)


def _truthfulness(model: Bridge, inputs: SurveyInputs) -> HeadScores:
    return truthfulness_heads(*statement_features(model, inputs.prompts), seed=inputs.seed)


_IOI, _VOITA = "Wang et al. 2022, arXiv:2211.00593", "Voita et al. 2019, arXiv:1905.09418"
_OLSSON, _WU = "Olsson et al. 2022, arXiv:2209.11895", "Wu et al. 2024, arXiv:2404.15574"
_FACTS = "Chughtai et al. 2024, arXiv:2402.07321"
_RECALL: Stage = "knowledge recalling"
_IDENTIFY: Stage = "in-context identification"
_REASON: Stage = "latent reasoning"
_EXPRESS: Stage = "expression preparation"


def _row(
    name: str,
    stage: Stage,
    measures: str,
    source: str,
    function: Callable[..., HeadScores],
    where: Callable[..., HeadScores],
    low: float = 0.0,
) -> Detector:
    """A detector whose function takes the model and one kind of input."""
    return Detector(name, stage, measures, source, function, partial(where, function), low)


_ROWS = (
    _row("subject", _RECALL, "attention on a question's subject", _FACTS, subject_heads, _on_facts),
    _row(
        "relation", _RECALL, "attention on a question's relation", _FACTS, relation_heads, _on_facts
    ),
    Detector(
        "context against memory",
        _RECALL,
        "change in P(context's answer) - P(memory's) by silencing, halved",
        "Jin et al. 2024, arXiv:2402.18154",
        context_memory_heads,
        _context_memory,
        -1.0,
    ),
    _row(
        "previous token",
        _IDENTIFY,
        "attention on the token before",
        _OLSSON,
        previous_token_heads,
        _on_repeated,
    ),
    _row(
        "duplicate token",
        _IDENTIFY,
        "attention on earlier copies of the token",
        _IOI,
        duplicate_token_heads,
        _on_repeated,
    ),
    _row(
        "positional",
        _IDENTIFY,
        "share of rows that look most at one distance",
        _VOITA,
        positional_heads,
        _on_text,
    ),
    _row(
        "rare word",
        _IDENTIFY,
        "share of rows that look most at a rare token",
        _VOITA,
        rare_word_heads,
        _on_text,
    ),
    _row(
        "sink",
        _IDENTIFY,
        "attention on the first token",
        "Xiao et al. 2023, arXiv:2309.17453",
        sink_heads,
        _on_text,
    ),
    _row(
        "local",
        _IDENTIFY,
        "attention on the last 16 tokens",
        "Xiao et al. 2024, arXiv:2410.10819",
        local_heads,
        _on_text,
    ),
    _row(
        "global",
        _IDENTIFY,
        "attention beyond them, without the first token",
        "Xiao et al. 2024, arXiv:2410.10819",
        global_heads,
        _on_text,
    ),
    *(
        Detector(
            f"retrieval: {score}",
            _IDENTIFY,
            f"the {score} score of a detection",
            _WU,
            retrieval_heads,
            partial(_retrieval, score),
        )
        for score in ("position", "token-set", "event", "teacher-forced", "fed-attention")
    ),
    Detector(
        "retrieval: attention-mass",
        _IDENTIFY,
        "attention on the answer while it is said",
        "this project's DEFINITIONS",
        retrieval_heads,
        partial(_retrieval, "attention-mass"),
    ),
    _row(
        "induction",
        _REASON,
        "attention on what followed earlier copies, 2 x 64 tokens",
        _OLSSON,
        induction_heads,
        _on_repeated,
    ),
    Detector(
        "prefix matching",
        _REASON,
        "the same, 4 x 25 tokens",
        _OLSSON,
        prefix_matching_heads,
        _prefix_matching,
    ),
    _row(
        "S-inhibition-like",
        _REASON,
        "attention on the second mention of a name",
        _IOI,
        s_inhibition_heads,
        _on_names,
    ),
    Detector(
        "truthfulness",
        _REASON,
        "accuracy of a probe for true answers; 0.5 is chance",
        "Li et al. 2023, arXiv:2306.03341",
        truthfulness_heads,
        _truthfulness,
    ),
    _row(
        "name mover",
        _EXPRESS,
        "attention on the name that is due, where it is copied",
        _IOI,
        name_mover_heads,
        _on_names,
    ),
    _row(
        "negative name mover",
        _EXPRESS,
        "attention on the name that is due, where it is pushed down",
        _IOI,
        negative_name_mover_heads,
        _on_names,
    ),
    _row(
        "copying",
        _EXPRESS,
        "share of tokens raised to the 10 highest logits",
        _IOI,
        copying_heads,
        _on_text,
    ),
    _row(
        "copy suppression",
        _EXPRESS,
        "share of tokens pushed to the 10 lowest logits",
        "McDougall et al. 2023, arXiv:2310.04625",
        copy_suppression_heads,
        _on_text,
    ),
)

DETECTORS: Mapping[str, Detector] = MappingProxyType({one.name: one for one in _ROWS})
"""All detectors by name, in the order of the survey's stages."""
