import pytest
import torch
from tiny_models import ARCHITECTURES, HYBRIDS, OTHERS, make_tiny_model
from tolerances import assert_close, model_rounding

from rh_lens.runtime import (
    Context,
    Execution,
    architecture_of,
    configured_strategy,
    inference,
    open_context,
    prefill,
    sdpa_attention,
)

WITHOUT_SDPA = {"gemma2", "gpt-oss", "gpt-neo", "gptj", "bloom", "falcon"}


def method(bridge, longest=1000, **options):
    return configured_strategy(bridge, longest=longest, execution=Execution(**options)).prefill


@pytest.mark.parametrize("name", [*ARCHITECTURES, *OTHERS])
def test_sdpa_is_chosen_where_the_class_supports_it(tiny_model, name):
    chosen = method(tiny_model(name).bridge)
    if name in WITHOUT_SDPA:
        assert (chosen.name, chosen.chunk) == ("chunked", 128)
        assert chosen.reason.endswith("can't be exchanged" if name == "falcon" else "has no SDPA")
    else:
        assert chosen.name == "sdpa"
        assert (chosen.reason, chosen.chunk) == ("the architecture supports it", 512)


def test_short_prompts_are_read_whole_by_the_bridge(llama):
    assert method(llama, longest=256).reason == "no context exceeds 256 tokens"
    assert method(llama, longest=256).name == "whole"
    assert method(llama, longest=257).name == "sdpa"


def test_state_and_length_dependent_ropes_are_read_in_one_pass(tiny_model):
    chosen = method(tiny_model("lfm2").bridge)
    assert (chosen.name, chosen.chunk) == ("sdpa", None)
    assert chosen.reason == "in one pass: 2 of 3 layers carry state"
    chosen = method(tiny_model("longrope").bridge)
    assert (chosen.name, chosen.chunk) == ("sdpa", None)
    assert chosen.reason == "in one pass: its longrope RoPE depends on the length from 32 tokens on"


def test_compatibility_mode_is_read_through_the_bridge(tiny_tokenizer):
    bridge = make_tiny_model("llama", tiny_tokenizer).bridge
    bridge.enable_compatibility_mode(no_processing=True)
    assert method(bridge).name == "chunked"
    assert method(bridge).reason.startswith("compatibility mode has changed weights")


@pytest.mark.parametrize("prefill", ["sdpa", "chunked", "whole"])
def test_a_method_can_be_forced(llama, prefill):
    assert method(llama, longest=10, prefill=prefill).name == prefill
    assert method(llama, longest=10, prefill=prefill).reason == "asked for"


def test_the_impossible_cannot_be_forced(tiny_model):
    with pytest.raises(ValueError, match=r"found that Gemma2ForCausalLM has no SDPA\. Use prefill"):
        method(tiny_model("gemma2").bridge, prefill="sdpa")
    with pytest.raises(ValueError, match=r"may be read in pieces; .*: 2 of 3 layers carry state"):
        method(tiny_model("lfm2").bridge, prefill="chunked")
    for name in ("dynamic", "longrope"):
        with pytest.raises(ValueError, match=rf"{name} RoPE depends on the length from 32 tokens"):
            method(tiny_model(name).bridge, prefill="chunked")


def test_only_a_rope_that_depends_on_the_length_has_a_limit(tiny_model):
    limits = {
        name: architecture_of(tiny_model(name).bridge).rope_limit
        for name in ("llama", "yarn", "gemma3")
    }
    assert set(limits.values()) == {None}
    for name in ("dynamic", "longrope"):
        limit = architecture_of(tiny_model(name).bridge).rope_limit
        assert (limit.kind, limit.n_tokens) == (name, 32)
        strategy = configured_strategy(tiny_model(name).bridge, longest=32)
        assert (strategy.truncates, strategy.resets) == (False, name == "dynamic")
        assert configured_strategy(tiny_model(name).bridge, longest=31).truncates


@pytest.mark.parametrize("name", [*ARCHITECTURES, *OTHERS])
def test_attention_alone_is_cached_plainly(tiny_model, name):
    assert architecture_of(tiny_model(name).bridge).cache.plain


@pytest.mark.parametrize("name", HYBRIDS)
def test_state_is_cached_in_the_models_own_way(tiny_model, name):
    kind = architecture_of(tiny_model(name).bridge).cache
    assert not kind.plain
    assert kind.reason == "2 of 3 layers carry state"


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3", "opt"])
def test_sdpa_is_left_as_it_was_found_also_after_an_error(tiny_model, name):
    bridge = tiny_model(name).bridge

    def state():
        attention = [block.attn for _, block in bridge.blocks_with("attn")]
        return (
            bridge.original_model.config._attn_implementation,
            ["forward" in module.__dict__ for module in attention],
            [list(module.original_component._modules.values()) for module in attention],
        )

    before = state()
    inside = []

    def interrupt():
        inside.append(state())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), sdpa_attention(bridge):
        interrupt()
    assert inside[0] != before
    assert state() == before
    assert before[0] == "eager"


ABLATED = [("blocks.0.attn.hook_z", 2), ("blocks.1.attn.hook_z", 1)]


def zero(name, head):
    def hooked(z, hook):
        z = z.clone()
        z[:, :, head] = 0.0
        return z

    return name, hooked


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n not in WITHOUT_SDPA])
def test_an_ablation_acts_on_a_prompt_read_in_any_way(tiny_model, random_tokens, name):
    """The keys and values of all ways are alike, and others than without the ablation."""
    bridge = tiny_model(name).bridge

    def values(prefill_name):
        strategy = configured_strategy(
            bridge, longest=50, execution=Execution(prefill=prefill_name)
        )
        with inference(bridge):
            context = prefill(bridge, random_tokens, strategy=strategy)
        return torch.stack([layer.values for layer in context.cache.layers[1:]])

    plain = values("whole")
    with bridge.hooks(fwd_hooks=[zero(*where) for where in ABLATED]):
        whole, chunked, sdpa = (values(way) for way in ("whole", "chunked", "sdpa"))
    for found in (sdpa, chunked):
        assert_close(found, whole, model_rounding(bridge, 40))
    assert (plain - whole).abs().max() > 0.1


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3"])
@pytest.mark.parametrize("layer", [0, 2])
def test_a_pass_is_not_cut_short_before_a_hook_that_is_open(tiny_model, random_tokens, name, layer):
    bridge = tiny_model(name).bridge
    seen = []

    def note(tensor, hook):
        seen.append(tensor.shape[1])

    hooks = [(f"blocks.{layer}.hook_resid_post", note)]
    with inference(bridge), bridge.hooks(fwd_hooks=hooks):
        prefill(bridge, random_tokens)
    assert seen == [40]


def test_a_reading_pass_ends_with_the_last_layers_keys(llama, random_tokens):
    calls = []
    handles = [
        module.register_forward_hook(lambda *_: calls.append(1))
        for module in (llama.blocks[1].mlp, llama.blocks[2].mlp, llama.unembed)
    ]
    try:
        with inference(llama):
            context = prefill(llama, random_tokens)
            assert len(calls) == 1
            context.read([5])
            assert len(calls) == 4
    finally:
        for handle in handles:
            handle.remove()


class TestSelfCheck:
    def test_hooks_that_are_open_are_not_called(self, llama, random_tokens):
        def fail(tensor, hook):
            raise AssertionError("called")

        with llama.hooks(fwd_hooks=[("hook_embed", fail)]):
            context = open_context(llama, random_tokens, longest=1000)
        assert (context.strategy.prefill.name, context.n_read) == ("sdpa", 0)

    def test_a_hook_that_sdpa_would_not_call_has_the_bridge_read(self, llama, random_tokens):
        def note(pattern, hook):
            return None

        with llama.hooks(fwd_hooks=[("blocks.1.attn.hook_pattern", note)]):
            chosen = open_context(llama, random_tokens, longest=1000).strategy.prefill
            with pytest.raises(
                ValueError, match=r"a hook is open at blocks\.1\.attn\.hook_pattern"
            ):
                open_context(
                    llama, random_tokens, longest=1000, execution=Execution(prefill="sdpa")
                )
        assert chosen.name == "chunked"
        assert chosen.reason.startswith("a hook is open at blocks.1.attn.hook_pattern")

    def test_a_hook_opened_later_is_called_too(self, llama, random_tokens):
        seen = []

        def note(pattern, hook):
            seen.append(pattern.shape[-1])

        context = open_context(
            llama, random_tokens, longest=1000, execution=Execution(prefill="sdpa")
        )
        with inference(llama), llama.hooks(fwd_hooks=[("blocks.1.attn.hook_pattern", note)]):
            context.reach(random_tokens)
        assert seen == [40]

    def test_an_architecture_that_fails_under_sdpa_is_read_by_the_bridge(
        self, tiny_model, random_tokens
    ):
        bridge = tiny_model("deepseek-v3").bridge
        chosen = open_context(bridge, random_tokens, longest=1000).strategy.prefill
        assert chosen.name == "chunked"
        assert chosen.reason.startswith("sdpa fails with")
        with pytest.raises(ValueError, match="can be read as asked for; found that sdpa fails"):
            open_context(bridge, random_tokens, longest=1000, execution=Execution(prefill="sdpa"))

    def test_a_way_that_disagrees_is_refused(self, tiny_tokenizer, random_tokens):
        """Planted: under SDPA the scores of one layer are scaled otherwise."""
        bridge = make_tiny_model("llama", tiny_tokenizer).bridge
        original = bridge.blocks[1].attn.original_component
        forward = original.forward

        def other(*args, **kwargs):
            original.scaling, kept = 0.1, original.scaling
            try:
                return forward(*args, **kwargs)
            finally:
                original.scaling = kept

        original.forward = other
        with pytest.raises(RuntimeError, match=r"'sdpa' reading .* plain bridge up to 0\.001 of"):
            open_context(bridge, random_tokens, longest=1000)
        open_context(bridge, random_tokens, longest=1000, execution=Execution(prefill="chunked"))

    def test_a_dead_hook_z_is_refused(self, tiny_tokenizer, random_tokens, monkeypatch):
        """Without the exchange of its raw projection, GPT-2's heads can't be ablated."""
        from rh_lens.runtime import sdpa

        bridge = make_tiny_model("gpt2", tiny_tokenizer).bridge
        open_context(bridge, random_tokens, longest=1000)
        monkeypatch.setattr(sdpa, "_swap_raw_projection", lambda module: [])
        with pytest.raises(RuntimeError, match="Expected hook_z to fire under 'sdpa' reading"):
            open_context(bridge, random_tokens, longest=1000)

    def test_half_precision_passes(self, tiny_tokenizer, random_tokens):
        bridge = make_tiny_model("llama", tiny_tokenizer).bridge
        bridge.to(torch.bfloat16, print_details=False)
        assert open_context(bridge, random_tokens, longest=1000).strategy.prefill.name == "sdpa"


class TestContext:
    def test_it_keeps_the_longest_prefix_it_has(self, llama, random_tokens):
        context = Context(llama, configured_strategy(llama, longest=50))
        other = [*random_tokens[:25].tolist(), 7, 8, 9]
        with inference(llama):
            assert context.reach(random_tokens) == 0
            assert context.reach(other) == 25
            assert (context.n_read, context.tokens) == (28, other)
            assert context.reach(other[:10]) == 10

    def test_what_decoding_read_is_never_kept(self, llama, random_tokens):
        context = Context(llama, configured_strategy(llama, longest=50))
        with inference(llama):
            context.reach(random_tokens[:30])
            context.read(random_tokens[30:].tolist())
            assert context.reach(random_tokens) == 30

    def test_nothing_is_kept_when_the_open_hooks_change(self, llama, random_tokens):
        context = Context(llama, configured_strategy(llama, longest=50))
        with inference(llama):
            context.reach(random_tokens)
            with llama.hooks(fwd_hooks=[zero(*ABLATED[0])]):
                assert context.reach(random_tokens) == 0
                assert context.reach(random_tokens) == 40
            assert context.reach(random_tokens) == 0

    def test_nothing_is_kept_of_a_pass_that_failed(self, llama, random_tokens):
        def fail(tensor, hook):
            raise RuntimeError("in the middle")

        context = Context(llama, configured_strategy(llama, longest=50))
        with inference(llama):
            context.reach(random_tokens)
            with (
                pytest.raises(RuntimeError, match="in the middle"),
                llama.hooks(fwd_hooks=[("blocks.1.attn.hook_z", fail)]),
            ):
                context.read([5])
            assert context.reach(random_tokens) == 0
            logits = context.read([5])
            fresh = prefill(llama, random_tokens).read([5])
        assert torch.equal(logits, fresh)

    def test_state_is_not_cut_back(self, tiny_model, random_tokens):
        bridge = tiny_model("lfm2").bridge
        context = Context(bridge, configured_strategy(bridge, longest=50))
        with inference(bridge):
            context.reach(random_tokens)
            assert context.reach(random_tokens[:20]) == 0
            with pytest.raises(
                ValueError, match=r"back to 5 .* of 20 tokens \(2 of 3 layers carry"
            ):
                context.truncate(5)

    def test_it_cannot_be_cut_back_to_more(self, llama, random_tokens):
        with (
            inference(llama),
            pytest.raises(ValueError, match="back to 41 tokens; found one of 40"),
        ):
            prefill(llama, random_tokens).truncate(41)
