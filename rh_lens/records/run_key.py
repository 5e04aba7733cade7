"""What makes a run this run and no other: everything that can move one of its numbers."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from rh_lens.detection import ScoreName
from rh_lens.prompts import NeedlePrompt
from rh_lens.records.provenance import package_versions, prompts_sha256

_MODEL_FIELDS = (
    "architecture",
    "n_layers",
    "n_heads",
    "n_key_value_heads",
    "dtype",
    "config_sha256",
    "weights_fingerprint",
    "tokenizer_sha256",
)
# The others write tables and pictures only.
_PACKAGES = ("rh-lens", "transformer_lens", "transformers", "tokenizers", "torch", "rouge-score")


def run_key(
    model: Mapping[str, Any],
    prompts: Sequence[NeedlePrompt],
    *,
    score: ScoreName = "position",
    threshold: float = 0.1,
    **options: Any,
) -> dict[str, Any]:
    """Everything that can move a number of a detection run, as JSON values.

    Two runs with the same key answer the same prompts in the same way. The number of threads and
    the kind of accelerator are not in it, as they move the last bits only.

    Args:
        model: From `describe_model`.
        prompts: All prompts of the run, also when only some are answered here.
        score: As in `detect_retrieval_heads`, and so is the rest.
        threshold: Score from which on a head counts as a retrieval head.
        options: Further options, such as `max_new_tokens`, and a name for hooks that are held open
            while the model answers; JSON values.
    """
    versions = package_versions()
    key = {
        "model": {field: model[field] for field in _MODEL_FIELDS},
        "device": str(model["device"]).partition(":")[0],
        "prompts": {"number": len(prompts), "sha256": prompts_sha256(prompts)},
        "options": {"score": score, "threshold": threshold, **options},
        "versions": {name: versions[name] for name in _PACKAGES},
    }
    return json.loads(json.dumps(key))


def key_sha256(key: Mapping[str, Any]) -> str:
    """SHA-256 of a key, 16 hexadecimal digits of it: names the run in every line of its log."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


def key_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Fields in which two keys differ, such as "options.threshold: 0.1 there, 0.2 here"."""
    old, new = _flat(there), _flat(here)
    return [
        f"{name}: {_shown(old, name)} there, {_shown(new, name)} here"
        for name in {**old, **new}
        if name not in old or name not in new or old[name] != new[name]
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values of nested mappings under dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inner = _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {}
        flat |= inner or {prefix + name: value}
    return flat


def _shown(values: Mapping[str, Any], name: str) -> str:
    """A value for a message; of a hash, as much as tells it apart."""
    if name not in values:
        return "nothing"
    value = values[name]
    return repr(value[:12] if isinstance(value, str) and len(value) == 64 else value)
