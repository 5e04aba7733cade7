"""Booting a TransformerBridge by name, or from a model in memory."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from os import PathLike, fspath
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from rh_lens.checks import (
    require_choice,
    require_flag,
    require_text,
    require_type,
    require_whole_number,
)
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.runtime.architecture import Bridge, require_supported
from rh_lens.runtime.device import require_device
from rh_lens.runtime.model_files import require_name, telling_of

READ_OPTIONS = ("quantization_config", "token", "local_files_only")
"""Options of `from_pretrained` that TransformerLens does not take: the model is read before it."""

PLACING = ("device_map", "max_memory", "offload_folder")
"""Options that say where the parts of a model go."""


def load_model(
    model: str | PathLike[str] | PreTrainedModel,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    device: str | torch.device | None = None,
    device_map: str | Mapping[str, str | int] | None = None,
    dtype: torch.dtype | None = None,
    n_ctx: int | None = None,
    revision: str | None = None,
    progress: bool = True,
    **boot_options: Any,
) -> Bridge:
    """A TransformerBridge of a model from the hub, from a folder or in memory, ready to answer.

    Args:
        model: Hub name such as "mistralai/Mistral-7B-v0.1"; a folder with model and tokenizer; or a
            Hugging Face model in memory, quantised ones too. The bridge changes that one in place.
        tokenizer: Needed for a model in memory; otherwise the model's own if None.
        device: Where to put all of it. None takes an accelerator if there is one, and leaves a
            model in memory where it is.
        device_map: Several devices, as `transformers` names them ("auto", "balanced", a mapping);
            not together with `device`.
        dtype: Precision of the weights. None: float32, or that of the model in memory.
        n_ctx: Context window in tokens, in place of the configuration's.
        revision: Commit, tag or branch on the hub.
        progress: Whether to show how far the weights are loaded.
        boot_options: What else `TransformerBridge.boot_transformers` takes, such as `max_memory`,
            `offload_folder` or `trust_remote_code`; or what `from_pretrained` of `transformers`
            takes, under its name: `quantization_config`, `token`, `local_files_only`.

    Raises:
        OSError: There is no such model, or the hub cannot be reached.
        TypeError: An argument is of another type, or a model in memory has no tokenizer.
        ValueError: There is no such device or option, two options exclude each other, or the
            architecture can't be searched: see `require_supported`.

    Examples:
        >>> from rh_lens.demo import DEMO_MODEL_FOLDER
        >>> loaded = load_model(DEMO_MODEL_FOLDER, device="cpu", progress=False)
        >>> loaded.cfg.n_layers
        4
    """
    if dtype is not None:
        require_type("dtype", dtype, torch.dtype, remedy="Pass one such as torch.float32.")
    if revision is not None:
        require_text("revision", revision)
    require_flag("progress", progress)
    if tokenizer is not None:
        require_tokenizer(tokenizer)
    _require_options(device, device_map, n_ctx)
    # Imported here because that takes several seconds.
    from transformer_lens.model_bridge import TransformerBridge

    boot = TransformerBridge.boot_transformers
    for name in boot_options:
        known = [*inspect.signature(boot).parameters, *READ_OPTIONS]
        require_choice("an option of load_model", name, known)
    read = {name: boot_options.pop(name) for name in READ_OPTIONS if name in boot_options}
    if read and not isinstance(model, PreTrainedModel):
        read |= {"device": device, "device_map": device_map, "dtype": dtype, "revision": revision}
        model, tokenizer = _read(model, tokenizer, {**read, **boot_options}, progress=progress)
        device = dtype = device_map = None
        boot_options = {name: one for name, one in boot_options.items() if name not in PLACING}
    options = {"tokenizer": tokenizer, "device_map": device_map, "n_ctx": n_ctx, **boot_options}
    if isinstance(model, PreTrainedModel):
        name = _prepare(model, tokenizer, device, dtype)
        options |= {"hf_model": model, "dtype": model.dtype}
    else:
        require_name(model)
        name = fspath(model)
        _require_supported_config(name, revision)
        options |= {"device": device, "dtype": dtype or torch.float32, "revision": revision}
    with telling_of(name), nullcontext() if progress else without_progress_bars():
        return boot(name, **options).eval()


def _read(
    name: str | PathLike[str],
    tokenizer: PreTrainedTokenizerBase | None,
    options: dict[str, Any],
    *,
    progress: bool,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model and its tokenizer, read by `transformers` with options that the bridge lacks."""
    require_name(name)
    path = fspath(name)
    hub = {
        key: options[key]
        for key in ("token", "local_files_only", "revision", "trust_remote_code")
        if options.get(key) is not None
    }
    where = {key: options[key] for key in PLACING if options.get(key) is not None}
    how = {"quantization_config": options.get("quantization_config")}
    dtype = options["dtype"] or (None if how["quantization_config"] else torch.float32)
    with telling_of(path), nullcontext() if progress else without_progress_bars():
        if tokenizer is None:
            tokenizer = AutoTokenizer.from_pretrained(path, **hub)
        model = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=dtype,
            attn_implementation="eager",
            **{key: value for key, value in how.items() if value is not None},
            **where,
            **hub,
        )
    if not where and options["device"] is not None:
        model.to(options["device"])
    return model, tokenizer


def _require_options(
    device: str | torch.device | None,
    device_map: str | Mapping[str, str | int] | None,
    n_ctx: int | None,
) -> None:
    if device is not None:
        require_device(device)
    if device is not None and device_map is not None:
        raise ValueError(
            f"Expected device or device_map; found both, {str(device)!r} and {device_map!r}. Leave "
            "one of them out."
        )
    if device_map is not None:
        remedy = 'Pass "auto", "balanced" or a mapping.'
        require_type("device_map", device_map, (str, Mapping), remedy=remedy)
    if n_ctx is not None:
        require_whole_number("n_ctx", n_ctx, at_least=1)


def _prepare(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    device: str | torch.device | None,
    dtype: torch.dtype | None,
) -> str:
    """The name of a model in memory, which is moved to where it is wanted."""
    if tokenizer is None:
        raise TypeError(
            f"Expected a tokenizer beside a model in memory, a {type(model).__name__}; found none. "
            "Pass tokenizer=AutoTokenizer.from_pretrained(...)."
        )
    require_supported(model.config)
    model.config.architectures = model.config.architectures or [type(model).__name__]
    if device is not None or dtype is not None:
        # TransformerLens notes the device of a model in memory and does not move it.
        model.to(device=device, dtype=dtype)
    return model.config.name_or_path or type(model).__name__


def _require_supported_config(name: str, revision: str | None) -> None:
    from transformers import AutoConfig

    # TransformerLens knows names of its own, which Hugging Face does not.
    with telling_of(name), suppress(OSError):
        require_supported(AutoConfig.from_pretrained(name, revision=revision))


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Context in which transformers shows no progress bar.

    Examples:
        >>> with without_progress_bars():
        ...     loaded = load_demo_model()
    """
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
