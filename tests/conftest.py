"""Tiny random models of many architectures, each with an independent Hugging Face copy."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
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

from rh_lens.prompts import Needle, NeedlePrompt, build_prompt, text_haystack

torch.set_num_threads(1)

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
_GQA = {"num_key_value_heads": 2, "head_dim": 8}
_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
# Untied embeddings: tied random ones repeat the last token for ever.
_GEMMA = {"sliding_window": WINDOW, "query_pre_attn_scalar": 8, "tie_word_embeddings": False}
_SLIDING, _FULL = "sliding_attention", "full_attention"

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
        {**_GQA, "num_local_experts": 2, "attention_chunk_size": WINDOW, "intermediate_size_mlp": 48},
    ),
    "phi3": ("phi3", {"num_key_value_heads": 2}),
    "opt": ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}),
}
HYBRIDS: dict[str, tuple[str, dict[str, Any]]] = {
    "lfm2": ("lfm2", {**_GQA, "layer_types": ["conv", _FULL, "conv"]}),
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


@pytest.fixture(scope="session")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
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
    folder = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_model(tiny_tokenizer: PreTrainedTokenizerBase) -> Callable[[str], TinyModel]:
    """Tiny models by name, each made once; tests leave them as they are."""
    made: dict[str, TinyModel] = {}

    def get(name: str) -> TinyModel:
        if name not in made:
            made[name] = make_tiny_model(name, tiny_tokenizer)
        return made[name]

    return get


@pytest.fixture(scope="session")
def llama(tiny_model: Callable[[str], TinyModel]) -> Any:
    """Bridge of the tiny Llama: 3 layers, 4 query heads, 2 key-value heads."""
    return tiny_model("llama").bridge


def make_tiny_model(name: str, tokenizer: PreTrainedTokenizerBase) -> TinyModel:
    """A new tiny model, to be changed at will."""
    from transformer_lens.model_bridge import TransformerBridge

    kind, options = {**ARCHITECTURES, **HYBRIDS}[name]
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


@pytest.fixture(scope="session")
def random_tokens() -> Tensor:
    """A prompt of 40 random token ids, longer than every window."""
    return torch.randint(2, 300, (40,), generator=torch.Generator().manual_seed(2))


def make_prompt(
    tokens: list[int], answer_span: tuple[int, int], needle: Needle | None = None
) -> NeedlePrompt:
    """A prompt of given token ids; the needle's text plays no part unless it is given."""
    return NeedlePrompt(
        tokens=torch.tensor(tokens),
        answer_span=answer_span,
        needle_span=answer_span,
        needle=needle or Needle(question="What is it?", text="It is an otter.", answer="an otter"),
        context_length=len(tokens),
        requested_depth=0.5,
        depth=0.5,
        haystack_name="made up",
        haystack_sha256="0" * 64,
        haystack_start=0,
        haystack_repeats=1,
        template_name="none",
    )


@dataclass(eq=False)
class PlantedModel:
    """Hooks that make a bridge answer given tokens and look at given positions.

    Every prefill begins the next answer. In its step t the model says `answers[i][t]`, then the
    end-of-sequence token; head (layer, head) puts 3/4 of its attention on `looks[i][layer, head][t]`
    and the rest on the first token, and every other head puts all of it there.
    """

    bridge: Any
    answers: list[list[int]]
    looks: list[dict[tuple[int, int], list[int]]]
    trial: int = -1
    step: int = -1

    def fwd_hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        patterns = [
            (f"blocks.{layer}.attn.hook_pattern", self._look)
            for layer, _ in self.bridge.blocks_with("attn")
        ]
        return [("hook_embed", self._count), *patterns, ("unembed.hook_out", self._say)]

    def _count(self, embedding: Tensor, hook: Any) -> None:
        prefill = embedding.shape[1] > 1
        self.trial += prefill
        self.step = -1 if prefill else self.step + 1

    def _look(self, pattern: Tensor, hook: Any) -> Tensor | None:
        if self.step < 0:
            return None
        planted = torch.zeros_like(pattern)
        planted[..., 0] = 1.0
        for (layer, head), positions in self.looks[self.trial].items():
            if layer == hook.layer() and self.step < len(positions):
                planted[0, head, -1, 0] = 0.25
                planted[0, head, -1, positions[self.step]] += 0.75
        return planted

    def _say(self, logits: Tensor, hook: Any) -> Tensor | None:
        if self.step < 0:
            return None
        said = [*self.answers[self.trial], 1]
        planted = torch.zeros_like(logits)
        planted[0, -1, said[min(self.step, len(said) - 1)]] = 1.0
        return planted


@pytest.fixture(scope="session")
def otter_needle() -> Needle:
    """A needle whose answer has 7 tokens, two of them alike (the space)."""
    return Needle(
        question="What is the secret word?",
        text="The secret word is a violet otter.",
        answer="a violet otter",
    )


@pytest.fixture(scope="session")
def otter_prompt(tiny_tokenizer: PreTrainedTokenizerBase, otter_needle: Needle) -> NeedlePrompt:
    prompt = build_prompt(
        tiny_tokenizer, text_haystack([TEXT] * 4), otter_needle, context_length=150, depth=0.5
    )
    pieces = [tiny_tokenizer.decode([token]) for token in prompt.answer_tokens]
    assert pieces == ["a", " ", "viol", "et", " ", "ot", "ter"]
    return prompt
