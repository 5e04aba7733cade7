"""Running a bridge: prefill, greedy decoding while hooks listen, and what each layer can see."""

from rh_lens.runtime.answer import Answer, answer_prompts
from rh_lens.runtime.architecture import (
    Architecture,
    Bridge,
    CacheKind,
    FwdHooks,
    architecture_of,
    attention_layers,
    input_device,
    require_bridge,
    require_supported,
)
from rh_lens.runtime.batch import decode_batch
from rh_lens.runtime.condition_rows import ConditionRows
from rh_lens.runtime.configuration import AttentionWindow, RopeLimit
from rh_lens.runtime.context import Context, prefill
from rh_lens.runtime.decode import greedy_decode, teacher_force
from rh_lens.runtime.device import require_device
from rh_lens.runtime.estimate import RunEstimate, estimate_run, require_memory
from rh_lens.runtime.exclusive import ModelInUseError, exclusive_use, exclusively
from rh_lens.runtime.execution import (
    DEFAULT_EXECUTION,
    PLAIN_EXECUTION,
    Execution,
    PrefillChoice,
    require_answering,
)
from rh_lens.runtime.generation import Generation
from rh_lens.runtime.hooks import (
    Condition,
    ConditionLike,
    Scope,
    as_conditions,
    conditions_must_fire,
    in_pieces,
    must_fire,
    reading_in_pieces,
    require_hooks,
    without_hooks,
)
from rh_lens.runtime.inference import inference
from rh_lens.runtime.load import load_model, without_progress_bars
from rh_lens.runtime.plan import Plan, Step, context_ends, plan_prompts
from rh_lens.runtime.sdpa import sdpa_attention
from rh_lens.runtime.self_check import open_context, require_decoder
from rh_lens.runtime.side_by_side import side_by_side
from rh_lens.runtime.speculation import Draft, DraftMemory
from rh_lens.runtime.stop import (
    StopReason,
    StopRule,
    eos_token_ids,
    stop_for_needles,
    stop_rule,
)
from rh_lens.runtime.strategy import PrefillMethod, Strategy, configured_strategy

__all__ = [
    "DEFAULT_EXECUTION",
    "PLAIN_EXECUTION",
    "Answer",
    "Architecture",
    "AttentionWindow",
    "Bridge",
    "CacheKind",
    "Condition",
    "ConditionLike",
    "ConditionRows",
    "Context",
    "Draft",
    "DraftMemory",
    "Execution",
    "FwdHooks",
    "Generation",
    "ModelInUseError",
    "Plan",
    "PrefillChoice",
    "PrefillMethod",
    "RopeLimit",
    "RunEstimate",
    "Scope",
    "Step",
    "StopReason",
    "StopRule",
    "Strategy",
    "answer_prompts",
    "architecture_of",
    "as_conditions",
    "attention_layers",
    "conditions_must_fire",
    "configured_strategy",
    "context_ends",
    "decode_batch",
    "eos_token_ids",
    "estimate_run",
    "exclusive_use",
    "exclusively",
    "greedy_decode",
    "in_pieces",
    "inference",
    "input_device",
    "load_model",
    "must_fire",
    "open_context",
    "plan_prompts",
    "prefill",
    "reading_in_pieces",
    "require_answering",
    "require_bridge",
    "require_decoder",
    "require_device",
    "require_hooks",
    "require_memory",
    "require_supported",
    "sdpa_attention",
    "side_by_side",
    "stop_for_needles",
    "stop_rule",
    "teacher_force",
    "without_hooks",
    "without_progress_bars",
]
