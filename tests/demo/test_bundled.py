"""Several bundled models by name."""

import fnmatch
import shutil
from pathlib import Path

import pytest

import rh_lens
from rh_lens.cli import main
from rh_lens.cli.bundled import folder_name, model_name
from rh_lens.demo import DEMO_MODEL_FOLDER, bundled, demo_models, load_demo_model
from rh_lens.runs import weights_sha256

PACKAGE = Path(rh_lens.__file__).parent
PROJECT = PACKAGE.parent


@pytest.fixture
def second(tmp_path, monkeypatch):
    """A second bundled model: the first one under another name."""
    folder = tmp_path / "scholar"
    shutil.copytree(DEMO_MODEL_FOLDER, folder)
    monkeypatch.setitem(bundled._FOLDERS, "scholar", folder)
    return folder


def test_a_model_without_its_files_is_not_offered(second):
    assert demo_models()["finder"] == DEMO_MODEL_FOLDER
    assert demo_models()["scholar"] == second
    (second / "model.safetensors").unlink()
    assert "scholar" not in demo_models()
    with pytest.raises(ValueError, match=r"a bundled model \(finder\) or a folder.*'scholar'"):
        load_demo_model("scholar")


def test_a_name_a_path_and_nothing_load_the_same_weights(second, monkeypatch):
    hashes = {
        weights_sha256(load_demo_model(*model))
        for model in ((), ("finder",), ("scholar",), (second,))
    }
    assert len(hashes) == 1
    monkeypatch.chdir(second.parent)
    (second / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="found: 'Error while deserializing header"):
        load_demo_model("./scholar")


def test_a_name_that_there_is_not_names_those_that_there_are(second):
    with pytest.raises(ValueError, match=r"\(finder, scholar\).*Did you mean 'scholar'\?"):
        load_demo_model("scholer")
    with pytest.raises(OSError, match="no such folder"):
        load_demo_model("no/such/folder")


def test_the_command_takes_names(second, tmp_path, capsys):
    assert model_name("demo:finder") == model_name("demo") == "demo"
    assert model_name("demo:scholar") == "demo:scholar"
    assert folder_name("demo:scholar") == "demo-scholar"
    assert folder_name("some/model") == "model"
    run, page = tmp_path / "run", tmp_path / "page.html"
    needles = str(PROJECT / "tests" / "four_needles.jsonl")
    asked = ["--lengths=128", "--depths=1", "--needles", needles, "--out", str(run), "--quiet"]
    assert main(["detect", "--model", "demo:scholar", *asked]) == 0
    # The run names its model, and the page finds the tokenizer by that name.
    assert main(["show", str(run), "--out", str(page)]) == 0
    assert "without the tokenizer" not in capsys.readouterr().err
    assert "the bundled model scholar" in page.read_text(encoding="utf-8")
    assert main(["detect", "--model", "demo:scholer", *asked]) == 2
    assert "Did you mean 'demo:scholar'?" in capsys.readouterr().err


def files_of_models():
    """All files in the folders of bundled models, those that are not there yet among them."""
    return [path for folder in bundled._FOLDERS.values() for path in folder.glob("**/*")]


def test_the_weights_of_all_bundled_models_together_take_at_most_14_megabytes():
    sizes = {path: path.stat().st_size for path in files_of_models() if path.is_file()}
    weights = sum(size for path, size in sizes.items() if path.suffix == ".safetensors")
    assert weights <= 14e6
    # Tokenizers, cards, tables and pictures.
    assert sum(sizes.values()) - weights <= 1e6


@pytest.mark.skipif(not (PROJECT / "pyproject.toml").exists(), reason="installed without it")
def test_all_their_files_are_packaged():
    """hatchling takes the whole package but for what .gitignore names."""
    settings = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'packages = ["rh_lens"]' in settings
    assert 'include = ["rh_lens", ' in settings
    assert "exclude" not in settings
    ignored = (PROJECT / ".gitignore").read_text(encoding="utf-8").split()
    left_out = [
        part
        for path in files_of_models()
        for part in path.relative_to(PROJECT).parts
        if any(fnmatch.fnmatch(part, pattern.rstrip("/")) for pattern in ignored)
    ]
    assert left_out == []
