"""What makes a run this run and no other: everything that can move one of its numbers."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rh_lens.checks import require_text, require_type
from rh_lens.detection import DetectionOptions
from rh_lens.files import usable_path
from rh_lens.prompts import AnyPrompt, NeedlePrompt, require_any_prompts
from rh_lens.runs.provenance import package_versions, prompts_sha256

_WEIGHT_FIELDS = ("architecture", "n_layers", "n_heads", "dtype", "config_sha256", "weights_sha256")
_MODEL_FIELDS = (*_WEIGHT_FIELDS, "n_key_value_heads", "tokenizer_sha256")
# The others write tables and pictures only.
_PACKAGES = ("rh-lens", "transformer_lens", "transformers", "tokenizers", "torch", "rouge-score")

# Characters of a value in a message.
_SHOWN = 120


def run_key(
    model: Mapping[str, Any],
    prompts: Sequence[NeedlePrompt],
    options: DetectionOptions,
    *,
    hooks: str | None = None,
) -> dict[str, Any]:
    """Everything that can move a number of a detection run, as JSON values.

    Two runs with the same key answer the same prompts in the same way. The number of threads and
    the kind of accelerator are not in it, and neither is how prompts are read (`prefill`,
    `batch_size` ...), as they move the last bits only.

    Args:
        model: From `describe_model`.
        prompts: All prompts of the run, also when only some are answered here. Of each field of
            theirs and of their needles there is a hash, so that a difference can be named.
        options: From `detection_options`; every field of them is in the key.
        hooks: A name for the hooks that are held open while the model answers.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The model lacks a field, the name is blank, or there is no prompt.

    Examples:
        >>> options = detection_options(model, prompts)
        >>> key = run_key(describe_model(model, "bundled"), prompts, options)
        >>> sorted(key)
        ['device', 'model', 'options', 'prompts', 'versions']
    """
    require_type("options", options, DetectionOptions, remedy="Make them with detection_options.")
    if hooks is not None:
        require_text("hooks", hooks)
    return question_key(model, prompts, {**options.record(), "hooks": hooks})


def question_key(
    model: Mapping[str, Any], prompts: Sequence[AnyPrompt], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that can move an answer: the model, the prompts, the versions and these options.

    Args:
        model: From `describe_model`.
        prompts: All prompts.
        options: JSON values.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The model lacks a field, or there is no prompt.
    """
    require_description("model", model, _MODEL_FIELDS)
    prompts = require_any_prompts(prompts)
    require_description("options", options)
    versions = package_versions()
    key = {
        "model": {field: model[field] for field in _MODEL_FIELDS},
        "device": str(model["device"]).partition(":")[0],
        "prompts": {"number": len(prompts), "sha256": prompts_sha256(prompts), **_parts(prompts)},
        "options": dict(options),
        "versions": {name: versions[name] for name in _PACKAGES},
    }
    return json.loads(json.dumps(key))


def require_description(name: str, values: Any, fields: Sequence[str] = ()) -> None:
    """Refuse what is no mapping of JSON values with these fields.

    Args:
        name: What the caller knows it as.
        values: What was given.
        fields: Fields that it must have.

    Raises:
        TypeError: It is no mapping, or a value is none of JSON.
        ValueError: It lacks a field, or holds itself.
    """
    require_type(name, values, Mapping, remedy="Pass a dictionary of JSON values.")
    try:
        json.dumps(dict(values))
    except (TypeError, ValueError, RecursionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"Expected {name} to hold JSON values; found what is none ({str(error)[:200]}). Write "
            "it as texts, numbers, lists and dictionaries."
        ) from None
    missing = [field for field in fields if field not in values]
    if missing:
        raise ValueError(
            f"Expected {name} to have the fields {', '.join(fields)}; found none of the name "
            f"{', '.join(missing)}. Make it with describe_model or run_key."
        )


def key_sha256(key: Mapping[str, Any]) -> str:
    """SHA-256 of a key, 16 hexadecimal digits of it: names the run in every entry of its log."""
    return _digits(key)


def key_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Fields in which two keys differ, such as "options.threshold: 0.1 there, 0.2 here"."""
    old, new = _flat(there), _flat(here)
    return [
        f"{name}: {_shown(old, name)} there, {_shown(new, name)} here"
        for name in {**old, **new}
        if name not in old or name not in new or old[name] != new[name]
    ]


def require_same_weights(folder: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Refuse a run of other weights, precision or configuration.

    Args:
        folder: The run's, named in the error.
        there: The `model` of the run's key.
        here: From `describe_model`.

    Raises:
        OSError: No folder can have this name.
        TypeError: An argument has the wrong type.
        ValueError: They differ; the message names every field, with both values.

    Examples:
        >>> from pathlib import Path
        >>> there = describe_model(model, "bundled")
        >>> require_same_weights(Path("run"), there, there)
        >>> require_same_weights(Path("run"), there, there | {"weights_sha256": "0" * 64})
        Traceback (most recent call last):
            ...
        ValueError: Expected the run in 'run' to be of this model; found that it differs in ...
    """
    folder = usable_path("folder", folder)
    require_description("there", there)
    require_description("here", here, _WEIGHT_FIELDS)
    if "weights_sha256" not in there:
        raise ValueError(
            f"Expected the run in {str(folder)!r} (there) to say which weights it was made "
            "with; found a result that was saved without its model. Give its head_scores.json "
            "instead."
        )
    old, new = ({field: one.get(field) for field in _WEIGHT_FIELDS} for one in (there, here))
    if differences := key_differences(old, new):
        raise ValueError(
            f"Expected the run in {str(folder)!r} to be of this model; found that it differs in "
            f"{'; '.join(differences)}. Give the model that the run was made with (--model, "
            "--revision, --dtype), or detect the heads of this one."
        )


def _parts(prompts: Sequence[AnyPrompt]) -> dict[str, str]:
    """A hash of each field of the prompts, over all of them."""
    contents = [prompt.content for prompt in prompts]
    names = {name: None for content in contents for name in content}
    return {name: _digits([content.get(name) for content in contents]) for name in names}


def _digits(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


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
    text = repr(value[:12] if isinstance(value, str) and len(value) == 64 else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
