"""The demo model's architecture: a small Llama with grouped-query attention."""

from transformers import LlamaConfig, LlamaForCausalLM

from rh_lens.demo.training.initialise import MATCHING_LAYER, initialise

VOCABULARY = 2048
MAX_LENGTH = 2048


def new_model(seed: int, matching_layer: int = MATCHING_LAYER) -> LlamaForCausalLM:
    """A demo model at step 0; `matching_layer` gets the heads that lean towards matching."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=MAX_LENGTH,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    model = LlamaForCausalLM._from_config(config, attn_implementation="sdpa")
    initialise(model, seed, matching_layer)
    return model
