import gc
import weakref

import pytest
import reference
import torch
from tiny_models import ARCHITECTURES, HYBRIDS, make_tiny_model
from tolerances import assert_largest, rounding, weight_rounding
from transformers import DynamicCache

from rh_lens.detection import SourceRecorder, most_attended, source_margin, span_mass
from rh_lens.runtime import StopRule, greedy_decode, inference, teacher_force

NEVER = StopRule(frozenset())
SPAN = (31, 37)
STEPS = 10


def eager_rows(model, tokens):
    """Hugging Face attention of the rows that predicted the last tokens, [step layer head key]."""
    _, attention = model.reference_pass(tokens[:-1])
    return attention[:, :, -STEPS:].permute(2, 0, 1, 3)


def assert_looked_at(bridge, sources, rows):
    """Sources are the argmax of rows [step layer head key]."""
    assert_largest(sources.source, rows, weight_rounding(bridge, rows.shape[-1]))


def assert_sources_equal(bridge, sources, rows):
    """Sources are the eager rows' argmax, and the weights equal, up to rounding."""
    assert_looked_at(bridge, sources, rows)
    close = {"rtol": 0, "atol": weight_rounding(bridge, rows.shape[-1])}
    torch.testing.assert_close(sources.weight, rows.amax(dim=-1), **close)
    torch.testing.assert_close(sources.needle_mass, rows[..., slice(*SPAN)].sum(dim=-1), **close)
    torch.testing.assert_close(sources.sink_mass, rows[..., 0], **close)


@pytest.mark.parametrize("name", [*ARCHITECTURES, *HYBRIDS])
def test_sources_equal_eager_hugging_face_attention(tiny_model, random_tokens, name):
    model = tiny_model(name)
    recorder = SourceRecorder(model.bridge, needle_span=SPAN, n_cached=39)
    tokens = greedy_decode(
        model.bridge,
        random_tokens,
        max_new_tokens=STEPS,
        stop=NEVER,
        decode_hooks=recorder.fwd_hooks(),
    ).tokens
    sources = recorder.result()
    assert sources.query_position.tolist() == list(range(39, 49))
    assert_sources_equal(
        model.bridge, sources, eager_rows(model, torch.cat([random_tokens, tokens]))
    )


# Not Bamba: TransformerLens's own `generate` gives it wrong positions.
@pytest.mark.parametrize("name", [*ARCHITECTURES, "lfm2", "qwen3-next"])
def test_around_generate_the_last_row_of_each_pass_is_recorded(tiny_model, random_tokens, name):
    model = tiny_model(name)
    recorder = SourceRecorder(model.bridge, needle_span=SPAN)
    with model.bridge.hooks(fwd_hooks=recorder.fwd_hooks()):
        tokens = model.bridge.generate(
            random_tokens[None],
            max_new_tokens=STEPS,
            do_sample=False,
            verbose=False,
            stop_at_eos=False,
            return_type="tokens",
        )
    assert_sources_equal(model.bridge, recorder.result(), eager_rows(model, tokens[0]))


@pytest.mark.parametrize("name", [*ARCHITECTURES, *HYBRIDS])
def test_every_row_of_a_teacher_forced_pass(tiny_model, random_tokens, name):
    model = tiny_model(name)
    recorder = SourceRecorder(model.bridge, needle_span=(12, 20), every_row=True, n_cached=29)
    teacher_force(
        model.bridge, random_tokens[:30], random_tokens[30:], decode_hooks=recorder.fwd_hooks()
    )
    sources = recorder.result()
    _, attention = model.reference_pass(random_tokens[:-1])
    assert sources.query_position.tolist() == list(range(29, 39))
    assert_looked_at(model.bridge, sources, attention[:, :, -10:].permute(2, 0, 1, 3))


@pytest.mark.parametrize(
    "name", ["mistral-window", "qwen2-window", "gemma2", "gemma3", "gpt-oss", "llama4-chunked"]
)
def test_a_plain_cache_keeps_all_keys_and_gives_the_same(tiny_model, random_tokens, name):
    model = tiny_model(name)
    recorder = SourceRecorder(model.bridge, needle_span=SPAN, every_row=True)
    with inference(model.bridge), model.bridge.hooks(fwd_hooks=recorder.fwd_hooks()):
        cache = DynamicCache()
        for chunk in (random_tokens[:5], random_tokens[5:30], random_tokens[30:39]):
            model.bridge(chunk[None], past_key_values=cache, return_type=None)
        for token in random_tokens[39:]:
            model.bridge(token[None, None], past_key_values=cache, return_type=None)
    sources = recorder.result()
    _, attention = model.reference_pass(random_tokens)
    assert_looked_at(model.bridge, sources, attention.permute(2, 0, 1, 3))


@pytest.mark.parametrize("name", ["mistral-window", "gemma3", "llama4-chunked"])
def test_a_prompt_read_in_chunks_is_counted_through(tiny_model, random_tokens, name):
    model = tiny_model(name)
    recorder = SourceRecorder(model.bridge, every_row=True)
    with inference(model.bridge), model.bridge.hooks(fwd_hooks=recorder.fwd_hooks()):
        cache = None
        for start in range(0, 40, 8):
            _, cache = model.bridge(
                random_tokens[None, start : start + 8],
                return_type="logits_and_cache",
                past_key_values=cache,
                use_cache=True,
                position_ids=torch.arange(start, start + 8)[None],
            )
    sources = recorder.result()
    _, attention = model.reference_pass(random_tokens)
    assert sources.query_position.tolist() == list(range(40))
    assert_looked_at(model.bridge, sources, attention.permute(2, 0, 1, 3))


@pytest.mark.parametrize("name", ["llama", "mistral-window", "gemma3", "gpt-neo", "llama4-chunked"])
def test_first_visible_is_where_attention_begins(tiny_model, random_tokens, name):
    model = tiny_model(name)
    recorder = SourceRecorder(model.bridge, every_row=True)
    with model.bridge.hooks(fwd_hooks=recorder.fwd_hooks()):
        model.bridge(random_tokens)
    first_visible = recorder.result().first_visible  # [step layer]
    _, attention = model.reference_pass(random_tokens)
    seen = attention.permute(2, 0, 1, 3).amax(dim=2) > 0  # [step layer key]
    assert torch.equal(first_visible, seen.int().argmax(dim=-1))


def test_without_a_span_there_is_no_needle_mass(llama, random_tokens):
    recorder = SourceRecorder(llama)
    with llama.hooks(fwd_hooks=recorder.fwd_hooks()):
        llama(random_tokens)
    assert recorder.result().needle_mass is None


def test_two_prompts_one_after_the_other_and_clear(llama, random_tokens):
    recorder = SourceRecorder(llama)
    with llama.hooks(fwd_hooks=recorder.fwd_hooks()):
        llama(random_tokens[:7])
        with pytest.raises(ValueError, match=r"a second one of 5 tokens after 7.*clear\(\)"):
            llama(random_tokens[:5])
        assert recorder.result().query_position.tolist() == [6]
        recorder.clear()
        llama(random_tokens[:5])
        llama(random_tokens[:9])  # the same prompt read again, as generation without a cache does
    assert recorder.result().query_position.tolist() == [4, 8]


def test_no_pattern_stays_alive(llama, random_tokens):
    patterns = []

    def note(pattern, hook):
        patterns.append(weakref.ref(pattern))

    recorder = SourceRecorder(llama, needle_span=(2, 4), every_row=True)
    hooks = [*recorder.fwd_hooks(), ("blocks.0.attn.hook_pattern", note)]
    with torch.no_grad(), llama.hooks(fwd_hooks=hooks):
        llama(random_tokens)
    gc.collect()
    assert [pattern() for pattern in patterns] == [None]
    kept = recorder._passes[0][0]
    n_bytes = sum(
        part.untyped_storage().nbytes()
        for part in (kept.source, kept.weight, kept.needle_mass, kept.sink_mass)
    )
    assert n_bytes == 4 * 40 * (8 + 4 + 4 + 4)  # heads x rows, one integer and three floats


def test_recorded_tensors_carry_no_gradient(llama, random_tokens):
    recorder = SourceRecorder(llama, needle_span=(2, 4))
    with llama.hooks(fwd_hooks=recorder.fwd_hooks()):
        assert llama(random_tokens).requires_grad
    assert not recorder.result().weight.requires_grad


def test_half_precision_patterns_give_fp32_numbers(tiny_tokenizer, random_tokens):
    bridge = make_tiny_model("llama", tiny_tokenizer).bridge.to(torch.bfloat16, print_details=False)
    recorder = SourceRecorder(bridge, needle_span=SPAN)
    patterns = []

    def note(pattern, hook):
        patterns.append(pattern[0, :, -1].clone())

    hooks = [*recorder.fwd_hooks(), ("blocks.1.attn.hook_pattern", note)]
    with torch.no_grad(), bridge.hooks(fwd_hooks=hooks):
        bridge(random_tokens)
    (pattern,) = patterns
    sources = recorder.result()
    assert pattern.dtype == torch.bfloat16
    assert sources.weight.dtype == sources.needle_mass.dtype == torch.float32
    for head in range(4):
        expected = reference.most_attended(pattern[head].tolist())
        assert (int(sources.source[0, 1, head]), float(sources.weight[0, 1, head])) == expected
    mass = pattern.float()[:, slice(*SPAN)].sum(dim=-1)
    close = {"rtol": rounding(SPAN[1] - SPAN[0]), "atol": 0}
    torch.testing.assert_close(sources.needle_mass[0, 1], mass, **close)


def test_the_recorder_sees_what_an_earlier_hook_made_of_the_pattern(llama, random_tokens):
    def look_at_seven(pattern, hook):
        return torch.nn.functional.one_hot(torch.full(pattern.shape[:3], 7), 40).float()

    recorder = SourceRecorder(llama)
    edit = ("blocks.1.attn.hook_pattern", look_at_seven)
    with llama.hooks(fwd_hooks=[edit, *recorder.fwd_hooks()]):
        llama(random_tokens)
    sources = recorder.result()
    assert sources.source[0, 1].tolist() == [7, 7, 7, 7]
    assert sources.weight[0, 1].tolist() == [1.0, 1.0, 1.0, 1.0]


def test_ties_go_to_the_first_position():
    pattern = torch.tensor([[[[0.1, 0.4, 0.4, 0.1], [0.25, 0.25, 0.25, 0.25]]]])
    source, weight = most_attended(pattern)
    assert source.tolist() == [[[1, 0]]]
    assert torch.equal(weight, torch.tensor([[[0.4, 0.25]]]))


def test_the_margin_is_what_the_second_key_gets_less():
    pattern = torch.tensor([[[[0.125, 0.5, 0.375], [0.25, 0.375, 0.375]]]])
    assert source_margin(pattern).tolist() == [[[0.125, 0.0]]]
    assert source_margin(pattern[..., :1]).tolist() == [[[0.125, 0.25]]]
    assert source_margin(pattern.bfloat16()).dtype == torch.float32


def test_margins_and_ties_are_recorded(llama, random_tokens):
    def tie(pattern, hook):
        planted = torch.zeros_like(pattern)
        planted[..., 3:5] = 0.5
        return planted

    recorder = SourceRecorder(llama)
    hooks = [("blocks.1.attn.hook_pattern", tie), *recorder.fwd_hooks()]
    patterns = []

    def note(pattern, hook):
        patterns.append(pattern[0, :, -1].clone())

    hooks.append(("blocks.0.attn.hook_pattern", note))
    with torch.no_grad(), llama.hooks(fwd_hooks=hooks):
        llama(random_tokens)
    sources = recorder.result()
    assert sources.n_ties == 4  # every head of one layer
    assert sources.source[0, 1].tolist() == [3, 3, 3, 3]
    ordered = patterns[0].sort(dim=-1, descending=True).values
    assert torch.equal(sources.margin[0, 0], ordered[:, 0] - ordered[:, 1])


def test_a_cropped_plain_cache_must_be_named(tiny_model, random_tokens):
    """12 keys are all there are, although a window of 12 would show as many of a longer context."""
    bridge = tiny_model("mistral-window").bridge
    with torch.no_grad():
        cache = DynamicCache()
        bridge(random_tokens[None, :30], past_key_values=cache, return_type=None)
        cache.crop(-19)
        recorder = SourceRecorder(bridge, keeps_all_keys=True)
        with bridge.hooks(fwd_hooks=recorder.fwd_hooks()):
            bridge(random_tokens[None, 11:12], past_key_values=cache, return_type=None)
    assert recorder.result().query_position.tolist() == [11]


def test_most_attended_equals_plain_loops():
    pattern = torch.rand(1, 3, 5, 7).bfloat16().float().softmax(dim=-1)
    source, weight = most_attended(pattern)
    for head in range(3):
        for row in range(5):
            expected = reference.most_attended(pattern[0, head, row].tolist())
            assert (int(source[0, head, row]), float(weight[0, head, row])) == expected


@pytest.mark.parametrize(
    ("start", "stop", "expected"), [(1, 3, 0.75), (-2, 1, 0.125), (-5, -2, 0.0), (3, 9, 0.125)]
)
def test_span_mass_counts_only_what_is_on_the_key_axis(start, stop, expected):
    pattern = torch.tensor([[[[0.125, 0.25, 0.5, 0.125]]]])
    assert span_mass(pattern, start, stop).tolist() == [[[expected]]]


class TestErrors:
    def test_nothing_recorded(self, llama):
        with pytest.raises(ValueError, match=r"no hook fired\. Run the model inside `with model"):
            SourceRecorder(llama).result()

    def test_a_hook_that_never_fired(self, llama, random_tokens):
        recorder = SourceRecorder(llama)
        with llama.hooks(fwd_hooks=recorder.fwd_hooks()[:2]):
            llama(random_tokens)
        with pytest.raises(ValueError, match=r"Expected 1 passes in every layer; found \{2: 0\}"):
            recorder.result()

    def test_a_batch(self, llama, random_tokens):
        recorder = SourceRecorder(llama)
        with (
            llama.hooks(fwd_hooks=recorder.fwd_hooks()),
            pytest.raises(ValueError, match=r"one prompt at a time; found a batch of 2 in blocks"),
        ):
            llama(random_tokens.reshape(2, 20))

    @pytest.mark.parametrize("span", [(5, 5), (6, 5), (-1, 5)])
    def test_a_span_that_is_none(self, llama, span):
        with pytest.raises(ValueError, match=r"0 <= start < stop; found \("):
            SourceRecorder(llama, needle_span=span)

    def test_recording_behind_a_cut_cache_needs_the_number_of_tokens(
        self, tiny_model, random_tokens
    ):
        bridge = tiny_model("mistral-window").bridge
        recorder = SourceRecorder(bridge)
        _, cache = bridge(random_tokens[:39], return_type="logits_and_cache", use_cache=True)
        with (
            bridge.hooks(fwd_hooks=recorder.fwd_hooks()),
            pytest.raises(ValueError, match=r"layer 0 shows only the 12 keys .* Pass n_cached="),
        ):
            bridge(random_tokens[39:], past_key_values=cache)

    def test_layers_that_disagree_on_the_context(self, llama, random_tokens):
        recorder = SourceRecorder(llama)

        def drop_keys(pattern, hook):
            return pattern[..., -12:]

        hooks = [("blocks.2.attn.hook_pattern", drop_keys), *recorder.fwd_hooks()]
        with (
            torch.no_grad(),
            llama.hooks(fwd_hooks=hooks),
            pytest.raises(RuntimeError),
        ):
            llama(random_tokens)
        with pytest.raises(ValueError, match=r"agree on the length of the context; .*2: 11"):
            recorder.result()

    def test_what_is_no_bridge(self):
        with pytest.raises(TypeError, match="Expected a TransformerBridge; found int"):
            SourceRecorder(5)
