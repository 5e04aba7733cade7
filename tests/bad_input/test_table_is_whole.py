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
Acceptance
ActivityPrediction
Agreement
Alternatives
Answer
AnswerMap
AnswerMonitor
AnswerPatterns
AnswerRows
Architecture
AskedDocument
AttentionPattern
AttentionRows
AttentionShape
AttentionSources
AttentionWindow
Audit
Bench
BenchModel
CacheKind
Checklist
Choices
CitationCase
CitationQuality
CitedAnswer
ClosedBookSplit
ClosedBookVerdict
Collision
Component
Composition
CompressionCurve
ConditionsRow
ConfidenceBounds
ContrastQuality
Contrasted
ControlDraws
CopyGain
CopyingScores
Detector
DocumentPrompt
DoseResponse
DoubtCase
DuplicateRuns
EffectPrediction
Emergence
Estimate
FedAnswers
FindingRow
Generation
GridChoice
HaystackKind
HeadActivation
HeadCells
HeadEstimates
HeadLooks
HeadNull
HeadOutputs
HeadOverlap
HeadSet
HeadSurvey
HeadTraits
HeadwiseCache
JointEffects
KeptAnswer
KindScores
KnockOut
LineageComparison
LogitAttribution
MarkedText
MatchedHeads
MatchingTraits
Measurement
Moment
Mediation
NeedleAgreement
NeedlePrompt
OfficialResult
OfflineView
OperatorAgreement
Option
PackedPrompt
PackingCheck
PairBatch
PairComparison
Patching
PassageAttention
PathEnds
PathPatching
PlainText
Plan
PreferencePairs
PrefillMethod
ProbeResult
PromptPair
RankingDraws
RankingQuality
ReadWrite
RecallResult
Repetition
RetrievalResult
RopeLimit
Row
RunEstimate
SamplingPlan
Score
ScoreIntervals
ScoreOrigin
ScoreProfile
ScreenAgreement
ShapleyValues
Similarity
SourceContributions
SourceSpan
Sparsity
SplitHalf
Step
StepEffects
StoredAblation
StoredEvaluation
StoredRun
StoredSurvey
StoredUse
Strategy
TaskCurve
TaskResult
TaskTables
ThresholdSensitivity
TimedRows
TrainableHeads
Trial
UntilStatement
VarianceComponents
WindowCurve
""".split()
# No classes to call: what others offer, and the keywords of another function.
OF_OTHERS = ("Bridge", "DetectionChoices", "TrialLog")
# Left out, and why.
LEFT_OUT = {
    # Which of a doubt's own parts, and the level of an interval, which evaluation checks.
    *{
        (method, parameter)
        for method, parameters in {
            "ActivityPrediction.gain": "head level",
            "Alternatives.bound": "level",
            "Alternatives.effect": "name level",
            "Alternatives.excess": "name level",
            "AnswerRows.placed": "values",
            "Checklist.count": "verdict",
            "Choices.jaccard": "option",
            "CopyGain.gain": "level",
            "DoseResponse.excess": "level",
            "DoseResponse.slope": "of_controls level",
            "DoubtLog.add": "doubt",
            "CacheLog.add": "name found",
            "DoubtLog.write_tables": "checklist",
            "FedAnswers.lost": "condition than level",
            "FedAnswers.of": "condition",
            "HeadNull.heads": "level",
            "JointEffects.backup": "level",
            "JointEffects.interaction": "one other level",
            "JointEffects.lost": "heads",
            "JointEffects.rescue": "head level",
            "KindScores.everywhere": "threshold",
            "KindScores.heads": "kind threshold",
            "KindScores.only_literal": "threshold",
            "KindScores.to_dataframe": "k",
            "OperatorAgreement.effect": "operator of level",
            "OperatorAgreement.excess": "operator level",
            "PlainText.rise": "of level",
            "ShapleyValues.value": "head level",
            "StepEffects.at_lag": "lag level",
            "StepEffects.excess": "level",
            "WindowCurve.excess": "width level",
            "WindowCurve.lost": "width of level",
            "Doubt": "table seconds",
        }.items()
        for parameter in parameters.split()
    },
    # Its arguments are those of the function beside it, whose rows they have.
    ("require_hooks", "name"),
    ("require_scores", "name"),
    # Asked in every pass of an answer, with the answer's own tokens.
    *{("Draft.propose", name) for name in ("generated", "room")},
    *{("Draft.judge", name) for name in ("proposed", "said")},
    # Tree attention's own: rows and masks that it makes.
    *{("Context.read_masked", name) for name in ("tokens", "visible", "positions", "options")},
    *{("Context.fill_masked", name) for name in ("tokens", "visible", "positions")},
    *{("Context.keep", name) for name in ("n_before", "columns")},
    # A field of a row of the table of scores: what a trial is asked for.
    ("Score.<lambda>", "trial"),
    # What TransformerLens boots with: it is asked which options it has.
    ("load_model", "boot_options"),
    # Of `load_model`.
    ("score_revisions", "loading"),
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
    # Handed on to build_grid.
    ("harder_prompts", "options"),
    # Of `passage_attention`.
    ("rank_passages", "options"),
    ("ranking_quality", "options"),
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
}  # fmt: skip


def public(room: str) -> Iterator[Callable[..., Any]]:
    """Functions, classes that users make, and methods."""
    module = importlib.import_module(f"rh_lens.{room}")
    for name in getattr(module, "__all__", ["Head"]):
        thing = getattr(module, name)
        if inspect.isfunction(thing):
            yield thing
        is_class = inspect.isclass(thing) and name not in OF_OTHERS
        if is_class and not issubclass(thing, BaseException):
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
        for parameter in inspect.signature(thing).parameters
        if parameter not in ("self", "cls")
    }
    assert wanted - covered - LEFT_OUT == set()
    assert covered - wanted == set()
    assert covered & LEFT_OUT == set()
    assert all(values for entry in entries_of(room) for values in entry.bad.values())
