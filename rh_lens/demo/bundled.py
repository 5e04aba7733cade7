"""The bundled models by name: where each of them lies."""

from pathlib import Path

from rh_lens.checks import did_you_mean, require_path, shown

FIRST_MODEL = "finder"
"""The bundled model that is meant where none is named."""

_HERE = Path(__file__).parent
_FOLDERS = {FIRST_MODEL: _HERE / "weights", "scholar": _HERE / "scholar"}
_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")

DEMO_MODEL_FOLDER = _FOLDERS[FIRST_MODEL]
"""Folder of the first bundled model in Hugging Face format."""


def demo_models() -> dict[str, Path]:
    """The bundled models: the folder of each, in Hugging Face format, by its name.

    `load_demo_model` takes these names, and `--model` of every command as `demo:NAME`.

    Examples:
        >>> "finder" in demo_models()
        True
    """
    return {
        name: folder
        for name, folder in _FOLDERS.items()
        if all((folder / file).is_file() for file in _NEEDED)
    }


def demo_folder(model: str | Path) -> Path:
    """Folder of a bundled model by its name; a folder is taken as it is.

    Raises:
        TypeError: It is neither a text nor a path.
        ValueError: It is no name of a bundled model, and there is no such folder.
    """
    require_path("model", model)
    models = demo_models()
    if isinstance(model, str) and model in models:
        return models[model]
    folder = Path(model)
    if len(folder.parts) == 1 and not folder.exists():
        raise ValueError(
            f"Expected a bundled model ({', '.join(models)}) or a folder with a model; found "
            f"{shown(str(model))}, and no such folder. "
            f"{did_you_mean(str(model), models) or 'Choose one of these names.'}"
        )
    return folder
