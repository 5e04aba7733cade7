import pytest
import torch
from torch.testing import assert_close

from rh_lens.detection import answer_patterns
from rh_lens.heads import Head


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_the_rows_are_those_of_the_whole_pattern(tiny_model, otter_prompt, name):
    """Also where a sliding window has dropped keys."""
    model = tiny_model(name).bridge
    answer = otter_prompt.answer_tokens
    heads = [Head(1, 3), Head(0, 1)]
    found = answer_patterns(model, otter_prompt, answer, heads)
    assert found.heads == tuple(heads)
    n_prompt, n_answer = len(otter_prompt.tokens), len(answer)
    assert found.pattern.shape == (2, n_answer, n_prompt + n_answer - 1)
    tokens = torch.cat([otter_prompt.tokens, answer[:-1]])[None]
    _, cache = model.run_with_cache(tokens)
    for place, head in enumerate(heads):
        whole = cache[f"blocks.{head.layer}.attn.hook_pattern"][0, head.head]
        assert_close(found.pattern[place], whole[n_prompt - 1 :], atol=1e-5, rtol=0)
    assert_close(found.pattern.sum(dim=-1), torch.ones(2, n_answer), atol=1e-5, rtol=0)


def test_heads_that_the_model_lacks_are_refused(llama, otter_prompt):
    answer = otter_prompt.answer_tokens
    with pytest.raises(ValueError, match="L9H0"):
        answer_patterns(llama, otter_prompt, answer, ["L0H0", "L9H0"])
    with pytest.raises(ValueError, match="one or more heads"):
        answer_patterns(llama, otter_prompt, answer, [])
