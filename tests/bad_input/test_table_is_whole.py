"""The table has every parameter of every public function and method of the rooms that it covers."""

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bad_table import ROOMS, entries_of

# Made by the library and handed out; their methods with parameters are in the table.
RESULTS = """
AblationCurve
AblationPlan
AblationTables
AnswerMap
AskedDocument
AttentionRows
AttentionPattern
AttentionShape
Audit
Bench
BenchModel
ClosedBookSplit
CitationCase
CitationQuality
CitedAnswer
Collision
Component
Composition
CompressionCurve
ConditionsRow
ConfidenceBounds
ControlDraws
CopyingScores
Detector
DocumentPrompt
DuplicateRuns
EffectPrediction
Estimate
GridChoice
HeadActivation
HeadCells
HeadEstimates
HeadLooks
HeadOutputs
HeadOverlap
HeadSet
HeadSurvey
HeadTraits
HeadwiseCache
KeptAnswer
KnockOut
LineageComparison
LogitAttribution
MarkedText
Measurement
Mediation
NeedleAgreement
NeedlePrompt
OfflineView
PackedPrompt
PackingCheck
PairBatch
PairComparison
Patching
PathEnds
PathPatching
ProbeResult
PromptPair
RankingDraws
ReadWrite
RecallResult
Repetition
Row
SamplingPlan
ScoreIntervals
ScoreProfile
ScreenAgreement
Similarity
SourceContributions
SourceSpan
Sparsity
SplitHalf
StoredAblation
StoredEvaluation
StoredRun
StoredSurvey
TaskCurve
TaskResult
TaskTables
ThresholdSensitivity
UntilStatement
TrainableHeads
VarianceComponents
""".split()
# Left out, and why.
LEFT_OUT = {
    # Handed on as they are: to detect_retrieval_heads, to build_grid and build_packed_grid.
    ("check_packing", "choices"),
    ("choose_grid", "grid"),
    # Handed on to the bench as they are.
    ("make_bench", "options"),
    # One more profile after the other.
    ("plot_score_profile", "others"),
    # Of each kind of result its own: tests/views/test_summarise.py.
    ("summarise", "options"),
    # Switches that only the tokenizer's chat template knows.
    ("chat_template", "options"),
    # The text's own parts, by any name.
    ("mark_text", "parts"),
    # Said by the project's own functions of their arguments.
    ("require_prompts", "name"),
    ("require_prompts", "at_least"),
    ("require_any_prompts", "name"),
    ("require_any_prompts", "at_least"),
    # Between the library's own files.
    *{("AblationPlan.of", name) for name in ("k", "kind", "match")},
    ("AblationPlan.heads_of", "kinds"),
    ("AblationPlan.first_rankings", "n"),
    *{("ErrorRules.error_type", name) for name in ("text", "n_tokens", "found")},
    ("Estimate.named", "name"),
    *{("HeadLooks.of", name) for name in ("sources", "heads")},
    # Newer than the table: not gone through yet.
    *{(f"{name}.top", "k") for name in (
        "CopyingScores", "LogitAttribution", "SourceContributions",
    )},
    ("ReadWrite.heads", "kind"),
    ("ReadWrite.kind", "head"),
}  # fmt: skip

# Of `detection`, what its own files and others' analyses hand each other: tensors and tables whose
# shapes the tests check as they run.
INNER = {
    f"detection.{name}"
    for name in (
        "acceptance activation_frequency aligned_share always_active_heads answer_recorder "
        "attention_mass_scores copied_share copies_from_spans "
        "copy_mask event_scores exact_mean fed_attention "
        "fed_attention_scores find_copy_events forced_shares judge_trial most_attended "
        "official_score official_scores official_span position_scores require_scores "
        "require_scores_of room_for_answers score_trials source_margin span_mass "
        "teacher_forced_copy "
        "teacher_forced_scores token_recall token_set_scores trial_table whole_multiples "
        "Acceptance AnswerPatterns AttentionSources AttentionSources.answer_rows "
        "AttentionSources.visible AttentionSources.by_model_layer ClosedBookVerdict CopyEvents "
        "ConfidenceSequence.add Until.wanted "
        "CopyEvents.join CopyEvents.of_trials DetectionChoices MemoryLog MemoryLog.start "
        "MemoryLog.add OfficialResult RetrievalResult RetrievalScores Score Score.<lambda> "
        "ScoreOrigin Trial TrialLog TrialLog.start TrialLog.add"
    ).split()
}


def public(room: str) -> Iterator[Callable[..., Any]]:
    """Functions, classes that users make, and methods."""
    module = importlib.import_module(f"rh_lens.{room}")
    files = {entry.function.__module__ for entry in entries_of(room)}
    for name in getattr(module, "__all__", ["Head"]):
        thing = getattr(module, name)
        # Newer than the table: the other files of this room were not gone through yet.
        if room == "circuits" and getattr(thing, "__module__", "") not in files:
            continue
        if inspect.isfunction(thing):
            yield thing
        if inspect.isclass(thing) and not issubclass(thing, BaseException):
            if name not in RESULTS:
                yield thing
            for method, value in vars(thing).items():
                is_method = inspect.isfunction(value) or isinstance(value, classmethod)
                if is_method and not method.startswith("_"):
                    yield getattr(thing, method)


@pytest.mark.parametrize("room", list(ROOMS))
def test_every_parameter_has_bad_values(room: str) -> None:
    covered = {(entry.name, parameter) for entry in entries_of(room) for parameter in entry.bad}
    wanted = {
        (thing.__qualname__, parameter)
        for thing in public(room)
        if f"{room}.{thing.__qualname__}" not in INNER
        for parameter in inspect.signature(thing).parameters
        if parameter not in ("self", "cls")
    }
    assert wanted - covered - LEFT_OUT == set()
    assert covered - wanted == set()
    assert covered & LEFT_OUT == set()
    assert all(values for entry in entries_of(room) for values in entry.bad.values())
