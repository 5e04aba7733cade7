"""What a run was made with: enough to repeat it, and to notice that something changed."""

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import torch

from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import Bridge

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
_VALUES_PER_PARAMETER = 64


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that can move a number."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def weights_fingerprint(model: Bridge) -> str:
    """SHA-256 over every parameter's name, shape, dtype and 64 of its values, evenly spread.

    It reads little, so that it costs seconds on a model of 70 billion parameters: it tells
    checkpoints apart, and is no proof that two models are equal in every weight.
    """
    digest = hashlib.sha256()
    for name, parameter in sorted(model.original_model.state_dict().items()):
        values = parameter.detach().flatten()
        stride = max(1, len(values) // _VALUES_PER_PARAMETER)
        sample = values[::stride][:_VALUES_PER_PARAMETER].double().cpu()
        digest.update(f"{name} {tuple(parameter.shape)} {parameter.dtype}".encode())
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()


def tokenizer_sha256(tokenizer: Any) -> str:
    """SHA-256 of a fast tokenizer's whole definition and of its chat template."""
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    # Padding and truncation are settings of the last call, not part of the tokenizer.
    definition |= {"padding": None, "truncation": None}
    content = json.dumps([definition, tokenizer.chat_template], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def config_sha256(model: Bridge) -> str:
    """SHA-256 of a model's configuration, without what names files and versions.

    It tells apart models of the same weights, such as two with other RoPE frequencies.
    """
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


def prompts_sha256(prompts: Iterable[NeedlePrompt]) -> str:
    """SHA-256 over the hashes of the prompts' token ids, in order."""
    return hashlib.sha256("".join(prompt.sha256 for prompt in prompts).encode()).hexdigest()


def describe_model(model: Bridge, name: str) -> dict[str, Any]:
    """The model's name, revision, shape, precision, device and fingerprints.

    Args:
        model: A TransformerBridge.
        name: The name or folder it was booted from.
    """
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
        "weights_fingerprint": weights_fingerprint(model),
        "tokenizer_sha256": tokenizer_sha256(model.tokenizer),
    }


def describe_machine() -> dict[str, Any]:
    """The machine's kind, its threads and its accelerator, if there is one."""
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "accelerator": accelerator,
    }
