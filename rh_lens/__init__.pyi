from .analysis import audit_scores, compare_scores, measure_sparsity, score_intervals
from .demo import load_demo_model
from .detection import SourceRecorder, closed_book_check, detect_retrieval_heads
from .evaluation import ablation_curve, classify_errors, needle_recall, perplexity
from .formats import read_head_scores, write_head_scores
from .heads import Head
from .interventions import (
    control_heads,
    knock_out_edges,
    mean_ablation,
    mean_head_outputs,
    resample_ablation,
    scale_heads,
    uniform_attention,
    zero_ablation,
)
from .prompts import (
    Needle,
    build_grid,
    build_prompt,
    default_needles,
    evaluation_needles,
    load_haystack,
    load_needles,
    prompt_from_text,
    pydoc_haystack,
    synthetic_haystack,
)
from .runs import RunFolder, load_result, load_run, save_result
from .runtime import Condition, Execution, greedy_decode, load_model, stop_rule
from .views import plot_curve, save_page, summarise

__all__ = [
    "Condition",
    "Execution",
    "Head",
    "Needle",
    "RunFolder",
    "SourceRecorder",
    "ablation_curve",
    "audit_scores",
    "build_grid",
    "build_prompt",
    "classify_errors",
    "closed_book_check",
    "compare_scores",
    "control_heads",
    "default_needles",
    "detect_retrieval_heads",
    "evaluation_needles",
    "greedy_decode",
    "knock_out_edges",
    "load_demo_model",
    "load_haystack",
    "load_model",
    "load_needles",
    "load_result",
    "load_run",
    "mean_ablation",
    "mean_head_outputs",
    "measure_sparsity",
    "needle_recall",
    "perplexity",
    "plot_curve",
    "prompt_from_text",
    "pydoc_haystack",
    "read_head_scores",
    "resample_ablation",
    "save_page",
    "save_result",
    "scale_heads",
    "score_intervals",
    "stop_rule",
    "summarise",
    "synthetic_haystack",
    "uniform_attention",
    "write_head_scores",
    "zero_ablation",
]
