"""What retrieval heads are good for, on a bridge or on a plain Hugging Face model."""

from rh_lens.uses.answer_watch import AnswerWatch
from rh_lens.uses.asked_document import AskedDocument, ask_document
from rh_lens.uses.bm25 import bm25_scores
from rh_lens.uses.checkpoints import save_ablated
from rh_lens.uses.citation_cases import CASE_KINDS, CitationCase, citation_cases
from rh_lens.uses.citation_quality import CitationQuality, citation_quality
from rh_lens.uses.cited_answer import CitedAnswer, SourceSpan
from rh_lens.uses.compression import CompressionCurve, compression_curve
from rh_lens.uses.compression_log import CacheLog
from rh_lens.uses.context_need import context_need
from rh_lens.uses.contrast import Strength, contrast, contrast_strength
from rh_lens.uses.contrast_decoding import Contrasted, context_aware_decode, contrast_decode
from rh_lens.uses.contrast_processor import ContextContrast, HeadContrast
from rh_lens.uses.contrast_quality import ContrastQuality, contrast_quality
from rh_lens.uses.decoding_ways import DECODING_WAYS
from rh_lens.uses.headwise_attention import headwise_attention
from rh_lens.uses.headwise_cache import HeadwiseCache, cache_bytes
from rh_lens.uses.lora import lora_heads
from rh_lens.uses.memory_cases import MEMORY_KINDS, memory_cases
from rh_lens.uses.model_shape import AttentionShape, attention_shape
from rh_lens.uses.monitor import BASELINES, HEAD_FEATURES, answer_features, monitored_answers
from rh_lens.uses.plain_heads import silent_heads
from rh_lens.uses.preferences import PreferencePairs, contrastive_pairs
from rh_lens.uses.question_cases import QUESTION_KINDS, question_cases
from rh_lens.uses.ranking import PassageAttention, passage_attention, rank_passages
from rh_lens.uses.ranking_cases import RankingCase, needle_cases
from rh_lens.uses.ranking_files import read_beir, read_ranking
from rh_lens.uses.ranking_log import RankingLog
from rh_lens.uses.ranking_quality import RankingQuality, ndcg, ranking_quality, recall_at
from rh_lens.uses.risk import AnswerMonitor, fit_monitor, monitor_quality
from rh_lens.uses.sources import cite
from rh_lens.uses.training import TrainableHeads, trainable_heads
from rh_lens.uses.windows import (
    group_scores,
    windows_above,
    windows_by_share,
    windows_in_proportion,
    windows_within,
)

__all__ = [
    "BASELINES",
    "CASE_KINDS",
    "DECODING_WAYS",
    "HEAD_FEATURES",
    "MEMORY_KINDS",
    "QUESTION_KINDS",
    "AnswerMonitor",
    "AnswerWatch",
    "AskedDocument",
    "AttentionShape",
    "CacheLog",
    "CitationCase",
    "CitationQuality",
    "CitedAnswer",
    "CompressionCurve",
    "ContextContrast",
    "ContrastQuality",
    "Contrasted",
    "HeadContrast",
    "HeadwiseCache",
    "PassageAttention",
    "PreferencePairs",
    "RankingCase",
    "RankingLog",
    "RankingQuality",
    "SourceSpan",
    "Strength",
    "TrainableHeads",
    "answer_features",
    "ask_document",
    "attention_shape",
    "bm25_scores",
    "cache_bytes",
    "citation_cases",
    "citation_quality",
    "cite",
    "compression_curve",
    "context_aware_decode",
    "context_need",
    "contrast",
    "contrast_decode",
    "contrast_quality",
    "contrast_strength",
    "contrastive_pairs",
    "fit_monitor",
    "group_scores",
    "headwise_attention",
    "lora_heads",
    "memory_cases",
    "monitor_quality",
    "monitored_answers",
    "ndcg",
    "needle_cases",
    "passage_attention",
    "question_cases",
    "rank_passages",
    "ranking_quality",
    "read_beir",
    "read_ranking",
    "recall_at",
    "save_ablated",
    "silent_heads",
    "trainable_heads",
    "windows_above",
    "windows_by_share",
    "windows_in_proportion",
    "windows_within",
]
