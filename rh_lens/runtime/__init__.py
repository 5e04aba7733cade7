"""Running a bridge: prefill, greedy decoding while hooks listen, and what each layer can see."""

from rh_lens.runtime.answer import Answer, answer_prompts
from rh_lens.runtime.answering import Generation
from rh_lens.runtime.architecture import require_supported
from rh_lens.runtime.arguments import (
    ConditionLike,
    as_conditions,
    require_answering,
)
from rh_lens.runtime.attention import PrefillMethod, sdpa_attention
from rh_lens.runtime.batch import decode_batch
from rh_lens.runtime.bridge import (
    Bridge,
    FwdHooks,
    attention_layers,
    input_device,
    require_bridge,
)
from rh_lens.runtime.cache import CacheKind, cache_kind, require_decoder
from rh_lens.runtime.condition import Condition, Scope, require_hooks
from rh_lens.runtime.condition_rows import ConditionRows
from rh_lens.runtime.decode import greedy_decode, teacher_force
from rh_lens.runtime.device import require_device
from rh_lens.runtime.draft import Draft, DraftMemory
from rh_lens.runtime.exclusive import ModelInUseError, exclusive_use, exclusively
from rh_lens.runtime.execution import (
    DEFAULT_EXECUTION,
    PLAIN_EXECUTION,
    Execution,
    PrefillChoice,
)
from rh_lens.runtime.fired import conditions_must_fire, must_fire
from rh_lens.runtime.inference import inference
from rh_lens.runtime.load import load_model, without_progress_bars
from rh_lens.runtime.pieces import in_pieces, reading_in_pieces
from rh_lens.runtime.plan import Plan, Step, plan_prompts
from rh_lens.runtime.prefill import Context, prefill
from rh_lens.runtime.quiet import without_hooks
from rh_lens.runtime.reach import Reach, attention_reach
from rh_lens.runtime.rope import RopeLimit, rope_limit
from rh_lens.runtime.self_check import open_context
from rh_lens.runtime.side_by_side import side_by_side
from rh_lens.runtime.stop import (
    StopReason,
    StopRule,
    eos_token_ids,
    stop_for_needles,
    stop_rule,
)
from rh_lens.runtime.strategy import Strategy, configured_strategy

__all__ = [
    "DEFAULT_EXECUTION",
    "PLAIN_EXECUTION",
    "Answer",
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
    "Reach",
    "RopeLimit",
    "Scope",
    "Step",
    "StopReason",
    "StopRule",
    "Strategy",
    "answer_prompts",
    "as_conditions",
    "attention_layers",
    "attention_reach",
    "cache_kind",
    "conditions_must_fire",
    "configured_strategy",
    "decode_batch",
    "eos_token_ids",
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
    "require_supported",
    "rope_limit",
    "sdpa_attention",
    "side_by_side",
    "stop_for_needles",
    "stop_rule",
    "teacher_force",
    "without_hooks",
    "without_progress_bars",
]
