import pytest
import torch
from planted import make_prompt
from reference_operators import attention_layers, output_projection
from tolerances import assert_close, model_rounding, rounding

from rh_lens.heads import Head
from rh_lens.interventions import (
    HeadOutputs,
    head_outputs,
    mean_ablation,
    mean_head_outputs,
    zero_ablation,
)
from rh_lens.interventions.head_outputs import require_row_kind

MODELS = ["llama", "mistral-window", "gemma3", "gpt2", "opt", "lfm2", "deepseek-v3"]
# Answers under dynamic RoPE have other frequencies than a pass of everything.
CASES = [*((name, rows) for name in MODELS for rows in ("answer", "prompt")), ("dynamic", "prompt")]


def prompts(n_tokens=(45, 52, 61)):
    """Prompts with a common beginning and answers of 3, 4 and 5 tokens."""
    generator = torch.Generator().manual_seed(4)
    start = torch.randint(2, 300, (30,), generator=generator).tolist()
    return [
        make_prompt(
            start + torch.randint(2, 300, (n - 30,), generator=generator).tolist(), (33, 36 + i)
        )
        for i, n in enumerate(n_tokens)
    ]


@torch.no_grad()
def plain_outputs(model, tokens, layer):
    """Outputs of a layer's heads, as its output projection gets them in plain Hugging Face."""
    kept = []
    handle = output_projection(model.reference, layer).register_forward_pre_hook(
        lambda module, inputs: kept.append(inputs[0][0].clone())
    )
    model.reference(tokens[None, :1])  # a short pass: dynamic RoPE forgets other prompts
    kept.clear()
    model.reference(tokens[None], use_cache=False)
    handle.remove()
    return kept[0].reshape(len(tokens), 4, 8)


def plain_rows(model, prompt, rows, layer):
    """The same for the wanted rows only."""
    n_prompt = len(prompt.tokens)
    if rows == "prompt":
        return plain_outputs(model, prompt.tokens, layer)
    fed = torch.cat([prompt.tokens, prompt.answer_tokens])[:-1]
    return plain_outputs(model, fed, layer)[n_prompt - 1 :]


@pytest.mark.parametrize(("name", "rows"), CASES)
def test_means_equal_plain_loops(tiny_model, name, rows):
    model, references = tiny_model(name), prompts()
    found = mean_head_outputs(model.bridge, references, rows=rows)
    assert list(found.values) == attention_layers(model)
    assert (found.n_rows, found.kind) == (1, rows)
    assert found.n_averaged == (3 + 4 + 5 if rows == "answer" else 45 + 52 + 61)
    for layer, means in found.values.items():
        total, n = torch.zeros(4, 8, dtype=torch.float64), 0
        for prompt in references:
            for row in plain_rows(model, prompt, rows, layer):
                total, n = total + row.double(), n + 1
        assert n == found.n_averaged
        assert_close(means[0], total / n, model_rounding(model.bridge, 66))


@pytest.mark.parametrize(("name", "rows"), CASES)
def test_rows_equal_hugging_face(tiny_model, name, rows):
    model, (_, prompt, _) = tiny_model(name), prompts()
    found = head_outputs(model.bridge, prompt, rows=rows)
    assert (found.n_averaged, found.prompts) == (1, (prompt.sha256,))
    for layer, outputs in found.values.items():
        expected = plain_rows(model, prompt, rows, layer)
        assert outputs.shape == expected.shape
        assert_close(outputs, expected, model_rounding(model.bridge, 56))


@pytest.mark.parametrize("name", ["llama", "deepseek-v3"])
@pytest.mark.parametrize("rows", ["answer", "prompt"])
def test_long_prompts_read_in_pieces_count_every_row_once(tiny_model, name, rows):
    """600 tokens: beyond 256, the tiny Llama is read with SDPA, and DeepSeek in chunks of 128."""
    model, (prompt,) = tiny_model(name), prompts([600])
    found = mean_head_outputs(model.bridge, [prompt, prompt], rows=rows)
    assert found.n_averaged == 2 * (3 if rows == "answer" else 600)
    for layer, means in found.values.items():
        expected = plain_rows(model, prompt, rows, layer).double().mean(dim=0)
        assert_close(means[0], expected, model_rounding(model.bridge, 603))


def test_the_mean_of_a_prompts_rows_is_its_mean(llama):
    prompt = prompts()[0]
    whole = head_outputs(llama, prompt, rows="prompt")
    means = mean_head_outputs(llama, [prompt], rows="prompt")
    for layer, values in whole.mean().values.items():
        assert_close(values, means.values[layer], rounding(45))
    assert whole.mean().n_averaged == means.n_averaged == 45


def test_only_the_named_layers_are_kept(llama):
    assert list(head_outputs(llama, prompts()[0], layers=[2, 0]).values) == [0, 2]


def test_hooks_that_are_open_are_seen(llama):
    prompt = prompts()[0]
    with llama.hooks(fwd_hooks=zero_ablation([Head(1, 2)])):
        found = head_outputs(llama, prompt)
    assert (found.values[1][:, 2] == 0).all()
    assert (found.values[1][:, 1] != 0).all()
    assert llama.list_hooks() == {}


def test_outputs_may_be_used_where_gradients_flow(llama):
    for found in (head_outputs(llama, prompts()[0]), mean_head_outputs(llama, prompts())):
        assert not any(values.is_inference() for values in found.values.values())
    hooks = mean_ablation([Head(1, 2)], head_outputs(llama, prompts()[0]).mean())
    with llama.hooks(fwd_hooks=hooks):
        llama(prompts()[0].tokens[None], return_type="loss").backward()
    llama.original_model.zero_grad()


def three_rows():
    return HeadOutputs({1: torch.arange(24.0).reshape(3, 4, 2)}, "answer", 1, ("abc",))


def test_rows_are_taken_and_drawn():
    outputs = three_rows()
    assert outputs.take([2, 0]).values[1][:, 0, 0].tolist() == [16, 0]
    drawn = [outputs.draw(seed).values[1][0, 0, 0].item() for seed in range(20)]
    assert drawn == [outputs.draw(seed).values[1][0, 0, 0].item() for seed in range(20)]
    assert set(drawn) == {0, 8, 16}
    assert outputs.draw(0).n_rows == 1


def test_the_table_has_mean_lengths():
    table = three_rows().to_dataframe()
    assert table.columns.tolist() == ["layer", "head", "label", "norm"]
    assert table.label.tolist() == ["L1H0", "L1H1", "L1H2", "L1H3"]
    lengths = [(0 + 1) ** 0.5, (8**2 + 9**2) ** 0.5, (16**2 + 17**2) ** 0.5]
    assert table.norm[0] == pytest.approx(sum(lengths) / 3)


@pytest.mark.parametrize("n_rows", [(), (0,), (2, 3)])
def test_layers_must_have_the_same_rows(n_rows):
    values = {layer: torch.zeros(n, 4, 2) for layer, n in enumerate(n_rows)}
    with pytest.raises(ValueError, match="Expected layers with the same rows, at least one; found"):
        HeadOutputs(values, "answer", 1, ())


def test_what_cannot_be_collected_is_refused(tiny_model, llama):
    with pytest.raises(ValueError, match="Expected prompts to have 1 or more entries; found 0"):
        mean_head_outputs(llama, [])
    with pytest.raises(ValueError, match=r"rows to be one of answer, prompt; found 'all'\. Choose"):
        require_row_kind("all")
    lfm2 = tiny_model("lfm2").bridge
    for layers in ([0, 1], []):
        with pytest.raises(ValueError, match=r"Expected layers out of \[1\], which have attention"):
            head_outputs(lfm2, prompts()[0], layers=layers)
