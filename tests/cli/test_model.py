"""Models and devices on the command line: refused before anything is written."""

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from rh_lens.cli import main


@pytest.fixture(scope="module")
def bert(tmp_path_factory, tiny_tokenizer):
    path = tmp_path_factory.mktemp("bert")
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    config = AutoConfig.for_model("bert", vocab_size=320, num_attention_heads=4, **shape)
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    tiny_tokenizer.save_pretrained(path)
    return path


@pytest.mark.parametrize("command", ["detect", "ablate"])
@pytest.mark.parametrize("device", ["cuda:99", "foo", "meta", "cpu:9", ""])
def test_a_device_that_is_not_there_is_one_line_and_no_folder(command, device, tmp_path, capsys):
    out = tmp_path / "run"
    assert main([command, "--device", device, "--out", str(out)]) == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert f"found {device!r}" in error
    assert 'use "cpu"' in error.replace("Use", "use")
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_is_one_line_and_no_folder(bert, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["detect", "--model", str(bert), "--out", str(out), "--quiet"]) == 2
    error = capsys.readouterr().err.strip()
    assert "to return a KV cache; found none" in error
    assert "Loading weights" not in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
