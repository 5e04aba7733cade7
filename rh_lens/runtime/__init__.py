"""Running a bridge: prefill, greedy decoding while hooks listen, and what each layer can see."""

from rh_lens.runtime.answer import answer_prompts
from rh_lens.runtime.bridge import (
    Bridge,
    FwdHooks,
    attention_layers,
    input_device,
    require_bridge,
)
from rh_lens.runtime.decode import Generation, greedy_decode, teacher_force
from rh_lens.runtime.inference import inference
from rh_lens.runtime.prefill import Context, prefill
from rh_lens.runtime.reach import Reach, attention_reach
from rh_lens.runtime.stop import StopReason, StopRule, eos_token_ids, stop_rule

__all__ = [
    "Bridge",
    "Context",
    "FwdHooks",
    "Generation",
    "Reach",
    "StopReason",
    "StopRule",
    "answer_prompts",
    "attention_layers",
    "attention_reach",
    "eos_token_ids",
    "greedy_decode",
    "inference",
    "input_device",
    "prefill",
    "require_bridge",
    "stop_rule",
    "teacher_force",
]
