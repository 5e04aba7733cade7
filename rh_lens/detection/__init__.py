"""From attention rows to retrieval scores."""

from rh_lens.detection.acceptance import Acceptance, RecallMeasure, acceptance, token_recall
from rh_lens.detection.capture import (
    SourceRecorder,
    answer_recorder,
    most_attended,
    source_margin,
    span_mass,
)
from rh_lens.detection.closed_book import ClosedBookVerdict, closed_book_check
from rh_lens.detection.detect import detect_retrieval_heads
from rh_lens.detection.events import EVENT_COLUMNS, CopyEvents, copy_mask, find_copy_events
from rh_lens.detection.result import NoAcceptedTrialsError, RetrievalResult, score_trials
from rh_lens.detection.retrieval_scores import RetrievalScores
from rh_lens.detection.scores import (
    ScoreName,
    activation_frequency,
    always_active_heads,
    attention_mass_scores,
    event_scores,
    position_scores,
    teacher_forced_scores,
    token_set_scores,
)
from rh_lens.detection.sources import AttentionSources
from rh_lens.detection.teacher_forced import aligned_share, teacher_forced_copy
from rh_lens.detection.trial import Trial, judge_trial

__all__ = [
    "EVENT_COLUMNS",
    "Acceptance",
    "AttentionSources",
    "ClosedBookVerdict",
    "CopyEvents",
    "NoAcceptedTrialsError",
    "RecallMeasure",
    "RetrievalResult",
    "RetrievalScores",
    "ScoreName",
    "SourceRecorder",
    "Trial",
    "acceptance",
    "activation_frequency",
    "aligned_share",
    "always_active_heads",
    "answer_recorder",
    "attention_mass_scores",
    "closed_book_check",
    "copy_mask",
    "detect_retrieval_heads",
    "event_scores",
    "find_copy_events",
    "judge_trial",
    "most_attended",
    "position_scores",
    "score_trials",
    "source_margin",
    "span_mass",
    "teacher_forced_copy",
    "teacher_forced_scores",
    "token_recall",
    "token_set_scores",
]
