import torch
from planted import make_prompt

from rh_lens.runtime import StopRule, answer_prompts, greedy_decode

NEVER = StopRule(frozenset())


def test_every_prompt_is_answered_with_its_own_hooks(llama, random_tokens):
    prompts = [make_prompt(random_tokens[start:].tolist(), (2, 4)) for start in (0, 3, 7)]
    passes = {0: 0, 1: 0, 2: 0}

    def hooks_for(index):
        def count(embedding, hook):
            passes[index] += 1

        return [("hook_embed", count)]

    answers = {
        answer.index: answer.generation
        for answer in answer_prompts(
            llama, prompts, hooks_for=hooks_for, max_new_tokens=5, stop=NEVER, draft=False
        )
    }
    assert passes == {0: 5, 1: 5, 2: 5}
    for index, prompt in enumerate(prompts):
        alone = greedy_decode(llama, prompt.tokens, max_new_tokens=5, stop=NEVER)
        assert torch.equal(answers[index].tokens, alone.tokens)
