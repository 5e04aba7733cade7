"""Tiny random models of many architectures, each with an independent Hugging Face copy."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

# Shorter than every test prompt, so that windows hide part of it.
WINDOW = 12
_COMMON = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
# Rotary positions, so that prompts may be longer than those of the learned ones.
_GQA = {"num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 2048}
_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
# Untied embeddings: tied random ones repeat the last token for ever.
_GEMMA = {"sliding_window": WINDOW, "query_pre_attn_scalar": 8, "tie_word_embeddings": False}
_SLIDING, _FULL = "sliding_attention", "full_attention"


def _rope(kind: str) -> dict[str, Any]:
    """Rotary settings for contexts beyond 32 tokens."""
    original = {} if kind == "dynamic" else {"original_max_position_embeddings": 32}
    return {"rope_type": kind, "factor": 4.0, "rope_theta": 10000.0, **original}


# Name -> (Hugging Face model type, configuration beside the common one).
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", _GQA),
    "mistral": ("mistral", {**_GQA, "sliding_window": None}),
    "mistral-window": ("mistral", {**_GQA, "sliding_window": WINDOW}),
    "qwen2": ("qwen2", {"num_key_value_heads": 2}),
    "qwen2-window": (
        "qwen2",
        {
            "num_key_value_heads": 2,
            "use_sliding_window": True,
            "sliding_window": WINDOW,
            "max_window_layers": 1,
        },
    ),
    "qwen3": ("qwen3", _GQA),
    "mixtral": ("mixtral", {**_GQA, **_EXPERTS, "sliding_window": None}),
    "gemma2": ("gemma2", {**_GQA, **_GEMMA}),
    "gemma3": ("gemma3_text", {**_GQA, **_GEMMA, "layer_types": [_SLIDING, _SLIDING, _FULL]}),
    "gpt2": ("gpt2", {}),
    "gpt-neo": (
        "gpt_neo",
        {"num_hidden_layers": 2, "attention_types": [[["global", "local"], 1]], "window_size": 12},
    ),
    "gpt-neox": ("gpt_neox", {}),
    "gpt-oss": ("gpt_oss", {**_GQA, **_EXPERTS, "sliding_window": WINDOW}),
    "llama4-chunked": (
        "llama4_text",
        {
            **_GQA,
            "num_local_experts": 2,
            "attention_chunk_size": WINDOW,
            "intermediate_size_mlp": 48,
        },
    ),
    "phi3": ("phi3", {"num_key_value_heads": 2}),
    "opt": ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}),
}
HYBRIDS: dict[str, tuple[str, dict[str, Any]]] = {
    "lfm2": ("lfm2", {**_GQA, "layer_types": ["conv", _FULL, "conv"]}),
    "bamba": (
        "bamba",
        {
            "num_key_value_heads": 2,
            "attn_layer_indices": [1],
            "mamba_n_heads": 4,
            "mamba_d_head": 16,
            "mamba_n_groups": 1,
            "mamba_d_state": 8,
        },
    ),
    "qwen3-next": (
        "qwen3_next",
        {
            **_GQA,
            "layer_types": ["linear_attention", _FULL, "linear_attention"],
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
        },
    ),
}
# Without SDPA in Hugging Face, or with attention of another shape.
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "gptj": ("gptj", {"rotary_dim": 4}),
    "bloom": ("bloom", {}),
    "falcon": ("falcon", {"new_decoder_architecture": False, "multi_query": False}),
    "deepseek-v3": (
        "deepseek_v3",
        {
            "num_key_value_heads": 4,
            "max_position_embeddings": 2048,
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 8,
            "v_head_dim": 8,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "n_group": 1,
            "topk_group": 1,
            "moe_intermediate_size": 16,
            "first_k_dense_replace": 1,
        },
    ),
    "yarn": (
        "llama",
        {**_GQA, "max_position_embeddings": 256, "rope_parameters": _rope("yarn")},
    ),
}
# Frequencies depend on the length from 32 tokens on, fewer than any test prompt has.
LENGTH_DEPENDENT: dict[str, tuple[str, dict[str, Any]]] = {
    "dynamic": (
        "llama",
        {**_GQA, "max_position_embeddings": 32, "rope_parameters": _rope("dynamic")},
    ),
    "longrope": (
        "phi3",
        {
            "num_key_value_heads": 2,
            "original_max_position_embeddings": 32,
            "rope_parameters": {
                **_rope("longrope"),
                "short_factor": [1.0] * 4,
                "long_factor": [2.0] * 4,
            },
        },
    ),
}
TEXT = (
    "The harbour master counts seven crimson otters by the old stone bridge. Question: what is "
    "the secret word? Answer: it is the quiet violet lantern. Nobody asked why the boats left. "
)


@dataclass(frozen=True, eq=False)
class TinyModel:
    """A bridge, and a plain eager Hugging Face copy of the same weights with its own config."""

    name: str
    bridge: Any
    reference: Any

    @torch.no_grad()
    def reference_pass(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [pos d_vocab] and attention [layer head query key], without a cache."""
        output = self.reference(tokens[None], output_attentions=True, use_cache=False)
        return output.logits[0], torch.cat(output.attentions)


def make_tiny_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Byte-level BPE with a BOS; saved and reloaded, as the bridge needs it."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_COMMON["vocab_size"],
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([TEXT], trainer)
    bpe.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def make_tiny_model(name: str, tokenizer: PreTrainedTokenizerBase) -> TinyModel:
    """A new tiny model, to be changed at will."""
    from transformer_lens.model_bridge import TransformerBridge

    kind, options = {**ARCHITECTURES, **HYBRIDS, **OTHERS, **LENGTH_DEPENDENT}[name]
    config = AutoConfig.for_model(kind, **{**_COMMON, **options})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    model.config.architectures = [type(model).__name__]
    _sharpen(model)
    reference = copy.deepcopy(model)
    bridge = TransformerBridge.boot_transformers(
        f"tiny-{name}", hf_model=model, tokenizer=tokenizer, device="cpu"
    )
    return TinyModel(name, bridge, reference)


@torch.no_grad()
def _sharpen(model: torch.nn.Module) -> None:
    """Random weights with attention peaky enough for an argmax to mean something."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(0.0, 0.4, generator=generator)
        elif any(part in name for part in ("q_norm", "k_norm", "q_layernorm", "k_layernorm")):
            parameter.fill_(2.0)
        elif name.endswith(("bias", "sinks")):
            parameter.normal_(0.0, 0.1, generator=generator)
