import torch
from planted import make_prompt

from rh_lens.runtime import Execution, StopRule, answer_prompts, greedy_decode

NEVER = StopRule(frozenset())


def test_every_prompt_is_answered_with_its_own_hooks(llama, random_tokens):
    prompts = [make_prompt(random_tokens[start:].tolist(), (2, 4)) for start in (0, 3, 7)]
    passes = {0: 0, 1: 0, 2: 0}

    def listen(name, index):
        def count(embedding, hook):
            passes[index] += 1

        return [("hook_embed", count)]

    answers = {
        one["plain"].index: one["plain"].generation
        for one in answer_prompts(
            llama,
            prompts,
            listen=listen,
            max_new_tokens=5,
            stop=NEVER,
            execution=Execution(speculate=False),
        )
    }
    assert passes == {0: 5, 1: 5, 2: 5}
    for index, prompt in enumerate(prompts):
        alone = greedy_decode(llama, prompt.tokens, max_new_tokens=5, stop=NEVER)
        assert torch.equal(answers[index].tokens, alone.tokens)
