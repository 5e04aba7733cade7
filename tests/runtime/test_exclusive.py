"""Two threads on one model: every result is right, or the newcomer is refused."""

import gc
import sys
import threading
import weakref
from types import SimpleNamespace

import pytest
import torch
from tiny_models import make_tiny_model

from rh_lens.detection import detect_retrieval_heads, forced_shares
from rh_lens.evaluation import needle_recall, perplexity
from rh_lens.heads import Head
from rh_lens.interventions import (
    HeadOutputs,
    head_outputs,
    mean_head_outputs,
    zero_ablation,
)
from rh_lens.interventions.editing import probe_patterns
from rh_lens.prompts import text_haystack
from rh_lens.runtime import (
    Condition,
    Execution,
    ModelInUseError,
    StopRule,
    answer_prompts,
    decode_batch,
    exclusive_use,
    greedy_decode,
    open_context,
    prefill,
    sdpa_attention,
    teacher_force,
)

STOP = StopRule(frozenset({1}))


@pytest.fixture(scope="module")
def model(tiny_tokenizer):
    return make_tiny_model("llama", tiny_tokenizer).bridge


@pytest.fixture(scope="module")
def entries(model, otter_prompt):
    """Every way into the model; each gives tensors or numbers."""
    prompt, tokens = otter_prompt, otter_prompt.tokens
    heads, haystack = [Head(1, 2)], text_haystack(["The boats left the harbour. " * 40])
    conditions = {"plain": Condition(), "zero": Condition(zero_ablation(heads))}
    detect = {"score": "teacher-forced", "progress": False, "max_new_tokens": 4}

    def detected():
        return detect_retrieval_heads(model, [prompt] * 2, **detect).scores.values

    def recall():
        result = needle_recall(
            model, [prompt], conditions, max_new_tokens=4, stop=STOP, progress=False
        )
        return [result.to_dataframe().to_json()]

    def batch():
        answers = decode_batch(
            model, [tokens, tokens[5:]], decode_hooks=[(), ()], max_new_tokens=4, stop=STOP
        )
        return [answer.tokens for answer in answers]

    def under_sdpa():
        with sdpa_attention(model):
            return None

    def values(outputs: HeadOutputs):
        return list(outputs.values.values())

    return {
        "detect": detected,
        "recall": recall,
        "batch": batch,
        "perplexity": lambda: perplexity(
            model, haystack, conditions, n_windows=2, window=64
        ).to_json(),
        "greedy": lambda: greedy_decode(model, tokens, max_new_tokens=4, stop=STOP).tokens,
        "sdpa": lambda: (
            greedy_decode(
                model, tokens, max_new_tokens=4, stop=STOP, execution=Execution(prefill="sdpa")
            ).tokens
        ),
        "force": lambda: teacher_force(model, tokens, prompt.answer_tokens),
        "forced": lambda: list(forced_shares(model, prompt).values()),
        "outputs": lambda: values(head_outputs(model, prompt)),
        "means": lambda: values(mean_head_outputs(model, [prompt], rows="prompt")),
        "probe": lambda: list(probe_patterns(model, zero_ablation(heads)).values()),
        "open": lambda: open_context(model, tokens, longest=200) and None,
        "prefill": lambda: prefill(model, tokens).tokens,
        "under_sdpa": under_sdpa,
    }


def in_thread(function):
    """What a function gives, or the error that it raises, in a thread that then ends."""
    found = []

    def call():
        try:
            found.append(function())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=call, name="newcomer")
    thread.start()
    thread.join()
    return found[0]


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, list) and one and isinstance(one[0], torch.Tensor):
        return all(map(torch.equal, one, other))
    return one == other


NAMES = [
    *("detect", "recall", "batch", "perplexity", "greedy", "sdpa", "force", "forced", "outputs"),
    *("means", "probe", "open", "prefill", "under_sdpa"),
]


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_refuses_a_second_thread_and_says_why(model, entries, name):
    expected = entries[name]()
    with exclusive_use(model):
        error = in_thread(entries[name])
        assert isinstance(error, ModelInUseError)
        message = r"only one thread uses; found 'tiny-llama' in use by the thread 'MainThread'\. .*"
        with pytest.raises(ModelInUseError, match=message + "load the model once for each thread"):
            raise error
        assert same(entries[name](), expected)
    assert same(in_thread(entries[name]), expected)


def test_many_threads_get_right_results_or_the_refusal(model, entries):
    expected = {name: entry() for name, entry in entries.items()}
    hooks, kept = model.list_hooks(), model.original_model.config._attn_implementation
    results, start = [], threading.Barrier(4)

    def work(offset):
        start.wait()
        names = [*expected][offset::2] * 2
        for name in names:
            try:
                results.append((name, entries[name]()))
            except Exception as error:
                results.append((name, error))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        threads = [threading.Thread(target=work, args=(n % 2,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    refused = [r for _, r in results if isinstance(r, ModelInUseError)]
    wrong = [
        (name, result)
        for name, result in results
        if not isinstance(result, ModelInUseError) and not same(result, expected[name])
    ]
    assert wrong == []
    assert refused
    assert len(refused) < len(results)
    assert model.list_hooks() == hooks
    assert model.original_model.config._attn_implementation == kept
    assert not any("forward" in block.attn.__dict__ for block in model.blocks)


def test_a_model_for_each_thread_is_the_way_out(model, tiny_tokenizer, otter_prompt):
    models = [model, make_tiny_model("llama", tiny_tokenizer).bridge]
    ways = [Execution(prefill="sdpa"), Execution(prefill="chunked")]

    def detected(place):
        options = {"score": "fed-attention", "progress": False, "max_new_tokens": 4}
        hooks = zero_ablation([Head(0, place)])
        with models[place].hooks(fwd_hooks=hooks):
            return detect_retrieval_heads(
                models[place], [otter_prompt] * 2, **options, execution=ways[place]
            ).scores.values

    expected, found = [detected(0), detected(1)], {}
    assert not torch.equal(*expected)
    start = threading.Barrier(2)

    def work(place):
        start.wait()
        found[place] = [detected(place) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place in (0, 1):
        assert [torch.equal(one, expected[place]) for one in found[place]] == [True] * 3


def test_a_run_holds_its_model_between_two_answers(model, entries, otter_prompt):
    answers = answer_prompts(model, [otter_prompt] * 2, max_new_tokens=2, stop=STOP)
    next(answers)
    assert isinstance(in_thread(entries["force"]), ModelInUseError)
    assert isinstance(entries["force"](), torch.Tensor)  # its own thread goes on
    next(answers)
    answers.close()
    assert isinstance(in_thread(entries["force"]), torch.Tensor)


def test_a_generator_that_nobody_holds_any_more_holds_nothing(model, entries, otter_prompt):
    answers = answer_prompts(model, [otter_prompt] * 2, max_new_tokens=2, stop=STOP)
    next(answers)
    del answers
    gc.collect()
    assert isinstance(in_thread(entries["force"]), torch.Tensor)


def test_a_thread_that_has_ended_holds_nothing(model, entries, otter_prompt):
    """Its generator is still there; when it is closed elsewhere, that changes nothing."""
    left = []

    def begin():
        left.append(answer_prompts(model, [otter_prompt] * 2, max_new_tokens=2, stop=STOP))
        next(left[0])

    in_thread(begin)
    with exclusive_use(model):
        left[0].close()
        assert isinstance(in_thread(entries["force"]), ModelInUseError)
    assert isinstance(in_thread(entries["force"]), torch.Tensor)


def test_an_error_frees_the_model(model, entries):
    with pytest.raises(KeyError), exclusive_use(model), exclusive_use(model):
        raise KeyError
    assert isinstance(in_thread(entries["force"]), torch.Tensor)


def test_two_bridges_of_one_hugging_face_model_are_one_model():
    inner = torch.nn.Linear(1, 1)
    one, other = (
        SimpleNamespace(original_model=inner, blocks_with=None, cfg=SimpleNamespace(model_name="x"))
        for _ in range(2)
    )

    def use():
        with exclusive_use(other):
            return "used"

    with exclusive_use(one):
        assert isinstance(in_thread(use), ModelInUseError)
    assert in_thread(use) == "used"


def test_using_a_model_keeps_it_alive_no_longer():
    stub = SimpleNamespace(original_model=torch.nn.Linear(1, 1), blocks_with=None)
    watched = weakref.ref(stub.original_model)
    with exclusive_use(stub):
        pass
    del stub
    gc.collect()
    assert watched() is None


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="Expected a TransformerBridge; found str"):
        exclusive_use("gpt2").__enter__()
