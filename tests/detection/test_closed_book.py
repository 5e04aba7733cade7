import torch
from planted import PlantedModel

from rh_lens.detection import closed_book_check
from rh_lens.prompts import Needle, Template

MOON = Needle("What is the moon made of?", "The moon is made of old stone.", "old stone")


def check(bridge, said, needles, **options):
    answers = [bridge.tokenizer.encode(text, add_special_tokens=False) for text in said]
    questions = [f"<s>Question: {needle.question}\nAnswer:" for needle in needles]
    lengths = [
        len(bridge.tokenizer.encode(question, add_special_tokens=False)) for question in questions
    ]
    planted = PlantedModel(bridge, lengths, answers, [{}] * len(answers))
    with bridge.hooks(fwd_hooks=planted.fwd_hooks()):
        return closed_book_check(bridge, needles, **options)


def test_a_needle_is_known_when_its_answer_comes_without_the_haystack(llama, otter_needle):
    secret, moon = check(llama, ["no idea", "of old stone"], [otter_needle, MOON])
    assert (secret.known, secret.recall, secret.text) == (False, 0.0, "no idea")
    assert (moon.known, moon.recall, moon.needle) == (True, 1.0, MOON)


def test_the_threshold_is_the_callers(llama):
    assert not check(llama, ["stone"], [MOON])[0].known
    assert check(llama, ["stone"], [MOON], min_recall=0.4)[0].known


def asked(bridge, **options):
    """The text a model is given, with special tokens."""
    seen = []

    def note(tokens, hook):
        seen.append(tokens)

    with bridge.hooks(fwd_hooks=[("embed.hook_in", note)]):
        closed_book_check(bridge, [MOON], max_new_tokens=1, **options)
    return bridge.tokenizer.decode(torch.cat(seen, dim=1)[0])


def test_the_question_is_asked_with_one_bos_and_no_context(llama):
    assert asked(llama) == "<s>Question: What is the moon made of?\nAnswer:"


def test_the_template_is_the_callers_and_its_bos_is_not_doubled(llama):
    template = Template("own", "<s>Read: {context} Then say: {question}")
    assert asked(llama, template=template) == "<s>Read:  Then say: What is the moon made of?"
