"""From attention rows to retrieval scores."""

from rh_lens.detection.acceptance import Acceptance, RecallMeasure, acceptance, token_recall
from rh_lens.detection.answer_patterns import AnswerPatterns, answer_patterns
from rh_lens.detection.capture import (
    SourceRecorder,
    answer_recorder,
    most_attended,
    source_margin,
    span_mass,
)
from rh_lens.detection.closed_book import ClosedBookVerdict, closed_book_check
from rh_lens.detection.confidence import ConfidenceBounds, ConfidenceSequence
from rh_lens.detection.detect import detect_retrieval_heads
from rh_lens.detection.detect_official import OfficialResult, detect_official, official_result
from rh_lens.detection.detection_options import (
    DetectionChoices,
    DetectionOptions,
    detection_options,
    room_for_answers,
)
from rh_lens.detection.events import (
    EVENT_COLUMNS,
    CopyEvents,
    copies_from_spans,
    copy_mask,
    find_copy_events,
)
from rh_lens.detection.exact_mean import exact_mean, whole_multiples
from rh_lens.detection.official import official_score, official_span
from rh_lens.detection.result import NoAcceptedTrialsError, RetrievalResult, score_trials
from rh_lens.detection.retrieval_scores import (
    RetrievalScores,
    ScoreOrigin,
    require_scores,
    require_scores_of,
)
from rh_lens.detection.score_table import SCORES, Score
from rh_lens.detection.scores import (
    ScoreName,
    activation_frequency,
    always_active_heads,
    attention_mass_scores,
    event_scores,
    fed_attention_scores,
    official_scores,
    position_scores,
    teacher_forced_scores,
    token_set_scores,
)
from rh_lens.detection.sources import AttentionSources
from rh_lens.detection.statement import Until, UntilStatement
from rh_lens.detection.teacher_forced import (
    aligned_share,
    copied_share,
    fed_attention,
    forced_shares,
    teacher_forced_copy,
)
from rh_lens.detection.trial import Trial, judge_trial, trial_table
from rh_lens.detection.trial_log import MemoryLog, TrialLog, TrialWithEvents

__all__ = [
    "EVENT_COLUMNS",
    "SCORES",
    "Acceptance",
    "AnswerPatterns",
    "AttentionSources",
    "ClosedBookVerdict",
    "ConfidenceBounds",
    "ConfidenceSequence",
    "CopyEvents",
    "DetectionChoices",
    "DetectionOptions",
    "MemoryLog",
    "NoAcceptedTrialsError",
    "OfficialResult",
    "RecallMeasure",
    "RetrievalResult",
    "RetrievalScores",
    "Score",
    "ScoreName",
    "ScoreOrigin",
    "SourceRecorder",
    "Trial",
    "TrialLog",
    "TrialWithEvents",
    "Until",
    "UntilStatement",
    "acceptance",
    "activation_frequency",
    "aligned_share",
    "always_active_heads",
    "answer_patterns",
    "answer_recorder",
    "attention_mass_scores",
    "closed_book_check",
    "copied_share",
    "copies_from_spans",
    "copy_mask",
    "detect_official",
    "detect_retrieval_heads",
    "detection_options",
    "event_scores",
    "exact_mean",
    "fed_attention",
    "fed_attention_scores",
    "find_copy_events",
    "forced_shares",
    "judge_trial",
    "most_attended",
    "official_result",
    "official_score",
    "official_scores",
    "official_span",
    "position_scores",
    "require_scores",
    "require_scores_of",
    "room_for_answers",
    "score_trials",
    "source_margin",
    "span_mass",
    "teacher_forced_copy",
    "teacher_forced_scores",
    "token_recall",
    "token_set_scores",
    "trial_table",
    "whole_multiples",
]
