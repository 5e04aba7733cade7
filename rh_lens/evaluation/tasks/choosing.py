"""Multiple choice by log-probability: the letter that a model finds likeliest."""

from collections.abc import Container, Iterator, Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from rh_lens.evaluation.kept_answers import KeptAnswer
from rh_lens.evaluation.tasks.item import LETTERS
from rh_lens.evaluation.tasks.task import Task
from rh_lens.evaluation.tasks.template import fill
from rh_lens.prompts import DocumentPrompt
from rh_lens.prompts.pieces import PieceEncoder
from rh_lens.runtime import (
    Bridge,
    Condition,
    Context,
    Execution,
    Generation,
    conditions_must_fire,
    inference,
    open_context,
    plan_prompts,
    teacher_force,
)
from rh_lens.runtime.exclusive import exclusively


@exclusively
def chosen_answers(
    model: Bridge,
    task: Task,
    prompts: Sequence[DocumentPrompt],
    conditions: Mapping[str, Condition],
    done: Container[tuple[str, int]],
    execution: Execution,
) -> Iterator[dict[tuple[str, int], KeptAnswer]]:
    r"""The letter with the highest log-probability after each prompt, as if it had been said.

    $\arg\max_c \log p(c \mid x)$ over the letters of the item's choices, written as the template
    writes an answer (" B"); of several tokens, their sum (Hendrycks et al. 2021,
    arXiv:2009.03300, take the letter's single token). The first one in a tie.

    Args:
        model: A TransformerBridge.
        task: Whose items have choices.
        prompts: Its prompts, in order.
        conditions: Hooks and their scope, by name.
        done: Names of conditions and indices of prompts that are not wanted.
        execution: How prompts are read.
    """
    wanted = {
        name: [place for place in range(len(prompts)) if (name, place) not in done]
        for name in conditions
    }
    asked = {name: c for name, c in conditions.items() if wanted[name]}
    letters = _letters(model, task)
    longest = max(len(prompt.tokens) for prompt in prompts) + max(map(len, letters))
    with inference(model), conditions_must_fire(asked) as watched:
        for name, condition in watched.items():
            context = open_context(model, prompts[0].tokens, longest=longest, execution=execution)
            share = execution.share_prefixes and context.strategy.truncates
            places = wanted[name]
            plan = plan_prompts([prompts[place].tokens for place in places], share=share)
            for step in plan.steps:
                place = places[step.prompt]
                if not share:
                    context = Context(model, context.strategy)
                choices = letters[: len(task.items[place].choices)]
                best = _likeliest(model, prompts[place].tokens, choices, condition, context)
                yield {(name, place): _as_said(model, choices[best])}


def _letters(model: Bridge, task: Task) -> list[Int[Tensor, " _"]]:
    """Token ids of each letter, as it is written after a prompt."""
    encoder = PieceEncoder(model.tokenizer)
    empty = fill(task.template.answer, {"{chain}": ""})
    texts = [fill(empty, {"{answer}": letter}).rstrip(". \n") for letter in LETTERS]
    return [encoder.encode_within(text).tokens for text in texts]


def _likeliest(
    model: Bridge,
    prompt: Int[Tensor, " pos"],
    letters: Sequence[Int[Tensor, " _"]],
    condition: Condition,
    context: Context,
) -> int:
    """Which of the letters has the highest log-probability after the prompt."""

    def log_probabilities(letter: Int[Tensor, " _"]) -> Tensor:
        logits = teacher_force(
            model,
            prompt,
            letter,
            decode_hooks=condition.decode_hooks,
            prefill_hooks=condition.prefill_hooks,
            context=context,
        )
        return logits.double().log_softmax(dim=-1).cpu()

    if all(len(letter) == 1 for letter in letters):
        row = log_probabilities(letters[0])[0]
        return int(row[torch.cat(tuple(letters))].argmax())
    sums = []
    for letter in letters:
        rows = log_probabilities(letter)
        sums.append(float(rows[torch.arange(len(letter)), letter].sum()))
    return sums.index(max(sums))


def _as_said(model: Bridge, letter: Int[Tensor, " _"]) -> KeptAnswer:
    text = model.tokenizer.decode(letter.tolist(), clean_up_tokenization_spaces=False)
    return KeptAnswer(Generation(letter, text, "length", tuple(letter.tolist()), 1))
