import json

import pytest
import torch

from rh_lens.runs import (
    config_sha256,
    describe_machine,
    describe_model,
    package_versions,
    prompts_sha256,
    tokenizer_sha256,
)


def test_versions_name_what_can_move_a_number():
    versions = package_versions()
    assert versions["transformer_lens"].startswith("4.")
    assert versions["torch"] == torch.__version__
    assert {"python", "rh-lens", "transformers", "tokenizers"} <= set(versions)


def test_the_configurations_hash_notices_a_value_and_no_path(llama):
    config = llama.original_model.config
    before = config_sha256(llama)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "_name_or_path", "elsewhere")
        assert config_sha256(llama) == before
        patch.setattr(config, "rms_norm_eps", 2 * config.rms_norm_eps)
        assert config_sha256(llama) != before
    assert config_sha256(llama) == before


def test_the_tokenizers_hash_ignores_the_truncation_of_the_last_call(tiny_tokenizer):
    before = tokenizer_sha256(tiny_tokenizer)
    tiny_tokenizer("a longer text", truncation=True, max_length=2)
    assert tiny_tokenizer.backend_tokenizer.truncation is not None
    assert tokenizer_sha256(tiny_tokenizer) == before
    tiny_tokenizer("a longer text")


def test_the_models_description_is_json_and_tells_its_shape(llama):
    description = describe_model(llama, "tiny")
    assert json.loads(json.dumps(description)) == description
    shape = (description["n_layers"], description["n_heads"], description["n_key_value_heads"])
    assert shape == (3, 4, 2)
    assert (description["name"], description["dtype"]) == ("tiny", "float32")
    assert description["device"] == "cpu"


def test_the_prompts_hash_depends_on_their_order(otter_prompt, llama):
    assert prompts_sha256([otter_prompt]) != prompts_sha256([otter_prompt] * 2)
    assert len(prompts_sha256([])) == 64


@pytest.mark.parametrize("field", ["platform", "threads", "accelerator"])
def test_the_machine_is_described(field):
    assert field in describe_machine()
