"""What a run was made with: enough to repeat it, and to notice that something changed."""

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from rh_lens.checks import require_text, require_type
from rh_lens.prompts import AnyPrompt, NeedlePrompt, require_any_prompts
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.runs.weights import weights_sha256
from rh_lens.runtime import Bridge, require_bridge

PACKAGES = (
    "rh-lens",
    "transformer_lens",
    "transformers",
    "tokenizers",
    "torch",
    "rouge-score",
    "numpy",
    "pandas",
)


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that can move a number.

    Examples:
        >>> sorted(package_versions())[:3]
        ['numpy', 'pandas', 'python']
    """
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def tokenizer_sha256(tokenizer: Any) -> str:
    """SHA-256 of a fast tokenizer's whole definition and of its chat template.

    Raises:
        TypeError: It is no tokenizer.
        ValueError: It is a slow one, which has no such definition.

    Examples:
        >>> len(tokenizer_sha256(tokenizer))
        64
    """
    require_tokenizer(tokenizer)
    if not tokenizer.is_fast:
        raise ValueError(
            f"Expected a fast tokenizer; found {type(tokenizer).__name__}. Load one from a folder "
            "with a tokenizer.json."
        )
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    # Padding and truncation are settings of the last call, not part of the tokenizer.
    definition |= {"padding": None, "truncation": None}
    content = json.dumps([definition, tokenizer.chat_template], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def config_sha256(model: Bridge) -> str:
    """SHA-256 of a model's configuration, without what names files and versions.

    It tells apart models of the same weights, such as two with other RoPE frequencies.

    Raises:
        TypeError: It is no TransformerBridge.

    Examples:
        >>> len(config_sha256(model))
        64
    """
    require_bridge(model)
    values = _without_names(model.original_model.config.to_dict())
    content = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _without_names(config: Mapping[Any, Any]) -> dict[str, Any]:
    """A configuration, also of a part of a model, without paths, versions and precision."""
    dropped = ("transformers_version", "dtype", "torch_dtype")
    return {
        str(key): _without_names(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in dropped and not str(key).startswith("_")
    }


def prompts_sha256(prompts: Iterable[AnyPrompt]) -> str:
    """SHA-256 over the hashes of prompts (`NeedlePrompt.sha256`), in order.

    Raises:
        TypeError: It is no list of prompts.

    Examples:
        >>> len(prompts_sha256(prompts))
        64
    """
    listed = require_any_prompts(prompts, at_least=0)
    return hashlib.sha256("".join(prompt.sha256 for prompt in listed).encode()).hexdigest()


def describe_model(model: Bridge, name: str) -> dict[str, Any]:
    """The model's name, revision, shape, precision, device and hashes.

    All weights are read: a second or two for each billion parameters on a CPU.

    Args:
        model: A TransformerBridge.
        name: The name or folder it was booted from.

    Raises:
        TypeError: It is no TransformerBridge, or the name no text.
        ValueError: The name is blank.

    Examples:
        >>> described = describe_model(model, "bundled")
        >>> described["name"], described["n_layers"], described["n_heads"]
        ('bundled', 4, 8)
    """
    require_bridge(model)
    require_text("name", name)
    config = model.original_model.config
    parameters = list(model.original_model.parameters())
    return {
        "name": name,
        "revision": getattr(config, "_commit_hash", None),
        "architecture": type(model.original_model).__name__,
        "n_layers": model.cfg.n_layers,
        "n_heads": model.cfg.n_heads,
        "n_key_value_heads": getattr(model.cfg, "n_key_value_heads", None) or model.cfg.n_heads,
        "n_ctx": model.cfg.n_ctx,
        "n_parameters": sum(parameter.numel() for parameter in parameters),
        "dtype": str(parameters[0].dtype).removeprefix("torch."),
        "device": str(model.cfg.device),
        "config_sha256": config_sha256(model),
        "weights_sha256": weights_sha256(model),
        "tokenizer_sha256": tokenizer_sha256(model.tokenizer),
    }


def describe_command(
    command: str, arguments: Mapping[str, Any], prompts: Sequence[AnyPrompt]
) -> dict[str, Any]:
    """What goes into `run.json` beside the model: enough to repeat a command.

    Args:
        command: Its name.
        arguments: Its arguments by name; paths become texts.
        prompts: The prompts that they made.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no prompt.

    Examples:
        >>> sorted(describe_command("detect", {"depths": 2}, prompts))
        ['arguments', 'command', 'haystack_sha256', 'machine', 'n_prompts', 'prompts_sha256',
         'started', 'versions']
    """
    require_text("command", command)
    require_type("arguments", arguments, Mapping)
    prompts = require_any_prompts(prompts)
    first = prompts[0]
    return {
        "command": command,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "arguments": {
            name: str(value) if isinstance(value, Path) else value
            for name, value in arguments.items()
        },
        "n_prompts": len(prompts),
        "prompts_sha256": prompts_sha256(prompts),
        "haystack_sha256": first.haystack_sha256 if isinstance(first, NeedlePrompt) else None,
        "versions": package_versions(),
        "machine": describe_machine(),
    }


def describe_machine() -> dict[str, Any]:
    """The machine's kind, its threads and its accelerator, if there is one.

    Examples:
        >>> sorted(describe_machine())
        ['accelerator', 'platform', 'threads']
    """
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "accelerator": accelerator,
    }
