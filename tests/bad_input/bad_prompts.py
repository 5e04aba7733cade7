"""Bad values for the rooms `prompts` and `demo`."""

import json
import shutil
from copy import copy

import numpy as np
import torch
from bad_calls import entry
from bad_values import (
    FLAG,
    PATH,
    SEED,
    TOKENIZER,
    bad,
    choice,
    entries,
    instance,
    made,
    missing_file,
    number,
    text,
    whole,
    wrong,
)

from rh_lens import demo
from rh_lens import prompts as p

NEEDLE_TEXT = wrong(None, 3, b"x", ["x"]) + bad("", " ", " x", "x\n", "\ud800", "x" * 4_000_000)
ANSWER = NEEDLE_TEXT + bad("heron")
HAYSTACK = instance(p.default_needles()[0])
TEMPLATE = instance(p.synthetic_haystack(n_sentences=3))
LENGTHS = (
    wrong(None, "96", 96.0, [96.0], ["96"], [True], {"a": 96})
    + bad([], 0, -5, [96, 0], [10**30], [10**12], [5000], piece="")
    + made(lambda t: torch.tensor([]), lambda t: np.array([np.nan]), error=Exception, piece="")
)
DEPTHS = wrong(None, "0.5", [None], ["0.5"], [True], 1.5, {"a": 1}) + bad(
    [], 0, -3, 10**9, [-0.1], [0.5, 1.1], [np.nan], [np.inf], [50], piece="depths"
)
NESTED = "[" * 10_000 + "]" * 10_000


def needle_file(content, error=ValueError, piece="needles-"):
    """A file of needles with this content."""
    name = f"needles-{abs(hash(content))}.jsonl"
    return made(lambda t: t.file(name, content), error=error, piece=piece)


def needle_line(**fields):
    return json.dumps({"question": "Who?", "text": "It was Ann.", "answer": "Ann", **fields})


NEEDLE_FILES = (
    needle_file("")
    + needle_file(" \n\n")
    + needle_file("{" * 10_000)
    + needle_file(NESTED)
    + needle_file('{"question": ' + NESTED + "}")
    + needle_file("x" * 10**6)
    + needle_file("9" * 5_000)
    + needle_file(needle_line().encode("utf-16"))
    + needle_file(needle_line().encode("utf-16-le"))
    + needle_file(b"\xff" * 100)
    + needle_file(needle_line(text="x" * 4_000_000 + " Ann"))
    + needle_file(needle_line(answer="Ben"))
    + needle_file(needle_line(answer=[]))
    + needle_file(needle_line(answer=3))
    + needle_file(needle_line(question=""))
    + needle_file(needle_line(distractors="x"))
    + needle_file(needle_line(distractors=[{"text": "It was Ben.", "answer": "Ann"}]))
    + needle_file(json.dumps({f"key {i}": 0 for i in range(10_000)}))
    + needle_file("[1, 2]")
    + needle_file("\ud800".encode("utf-8", "surrogatepass"))
    + made(lambda t: t.folder, error=OSError, piece="no file")
)
TEXT_FILES = (
    made(lambda t: t.file("utf16.txt", "Rain.".encode("utf-16")), piece="utf16.txt")
    + made(lambda t: t.file("binary.txt", b"a\0b"), piece="binary.txt")
    + made(lambda t: t.file("blank.txt", " \n"), piece="blank.txt")
)


def chatty(template):
    """A tokenizer whose chat template is this program."""

    def make(t):
        tokenizer = copy(t.tokenizer)
        tokenizer.chat_template = template
        return tokenizer

    return make


CHAT = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
LOOP = "{% for i in range(99999) %}"
END = "{% endfor %}"
CHATS = TOKENIZER + made(
    lambda t: t.tokenizer,
    chatty("{% for %}"),
    chatty("{{ raise_exception('x' * 100000) }}"),
    chatty(LOOP * 4 + END * 4),
    chatty(LOOP + LOOP + "{{ messages }}" + END + END),
    chatty("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
    chatty("{{ range(10**9) }}"),
    chatty("{{ 'x' * 20000000 }}"),
    chatty("{{ messages[0].__class__.__mro__ }}"),
    piece="",
)


def chat(t):
    return {"tokenizer": chatty(CHAT)(t)}


def grid(t):
    return {
        "tokenizer": t.tokenizer,
        "haystack": t.haystack,
        "needles": t.needles,
        "context_lengths": [96, 128],
        "depths": 2,
    }


def packed(t):
    return {**grid(t), "needles": p.default_needles()[:2]}


def single(t):
    return {
        "tokenizer": t.tokenizer,
        "haystack": t.haystack,
        "needle": t.needles[0],
        "context_length": 128,
        "depth": 0.5,
    }


SURROUNDINGS = {
    "tokenizer": TOKENIZER,
    "haystack": HAYSTACK,
    "template": TEMPLATE,
    "max_context": whole(1, none=True, huge=False) + bad(50),
    "allow_repeat": FLAG,
    "haystack_offset": whole(0) + bad(10**6, piece="haystack"),
    "n_distractors": whole(0, none=True),
}

OWN = "It rained. The bird was a heron. It slept."


def own(t):
    return {"tokenizer": t.tokenizer, "text": OWN, "answer": "heron", "question": "Which bird?"}


PROMPTS = [
    entry(
        p.build_grid,
        grid,
        needles=entries() + wrong("x"),
        context_lengths=LENGTHS,
        depths=DEPTHS,
        inexact_spans=choice(nearly="dropp"),
        **SURROUNDINGS,
    ),
    entry(
        p.build_packed_grid,
        packed,
        needles=entries() + wrong("x"),
        context_lengths=LENGTHS,
        depths=DEPTHS[1:] + bad(1),
        needles_per_context=whole(1, none=True, huge=False),
        inexact_spans=choice(nearly="dropp"),
        **{**SURROUNDINGS, "n_distractors": whole(0, huge=False) + bad(10**6, piece="")},
    ),
    entry(p.needle_collisions, needles=entries(empty=False) + wrong("x")),
    entry(
        p.build_prompt,
        single,
        needle=instance(p.Distractor("It was Ann.", "Ann"), p.default_needles()),
        context_length=whole(1) + bad(20, 5000),
        depth=number(least=0, most=1),
        **SURROUNDINGS,
    ),
    entry(
        p.prompt_from_text,
        own,
        tokenizer=TOKENIZER,
        text=wrong(None, 3, b"x", ["x"], piece="")
        + bad("", " ", "It rained.", [], [{}], [{"role": "user", "content": OWN}], "\ud800 heron",
              piece=""),
        answer=wrong(None, 3, b"x", [3], {"a": 1}) + bad("", " ", [], ["x"], "crane", "x" * 10**6),
        question=text()[:4] + bad("", " "),
        template=TEMPLATE,
        occurrence=whole(None, none=True, huge=False) + bad(1, -2, 10**12),
        name=text(),
    ),
    entry(
        p.prompt_from_text,
        lambda t: {**chat(t), "text": [{"role": "user", "content": OWN}], "answer": "heron"},
        tokenizer=CHATS,
        text=wrong([3], ["x"], [{"role": "user", "content": 3}], [{"role": None, "content": "x"}])
        + bad([], [{"role": "", "content": OWN}], [{"role": "user", "content": ""}])
        + wrong([{}], [{"role": "user"}]),
        question=bad("Who?"),
    ),
    entry(p.distinct_prompts, prompts=entries(empty=False, single=lambda t: t.prompt)),
    entry(p.require_prompts, prompts=entries(single=lambda t: t.prompt)),
    entry(p.require_any_prompts, prompts=entries(single=lambda t: t.prompt)),
    entry(p.uniform_depths, n_depths=whole(1) + bad(10**9)),
    entry(
        p.Needle,
        lambda t: {"question": "Who?", "text": "It was Ann.", "answer": "Ann"},
        question=NEEDLE_TEXT,
        text=ANSWER,
        answer=ANSWER,
        alternatives=wrong(None, 3, "x", [3], piece="alternatives") + bad([""], [" x"], piece=""),
        distractors=wrong(None, 3, "x", ["x"])
        + bad([p.Distractor("Not Ann.", "Ann")], piece="distractors"),
    ),
    entry(
        p.Duplicate,
        lambda t: {"text": "It was Ann.", "answer": "Ann"},
        text=ANSWER,
        answer=ANSWER,
    ),
    entry(
        p.Association,
        lambda t: {"text": "{person} paints.", "question": "Who?"},
        text=text(),
        question=text(),
    ),
    entry(
        p.harder_needles,
        lambda t: {"kind": "plain", "n": 1},
        kind=choice(nearly="plane"),
        n=whole(1, 10_000),
        seed=SEED,
        associations=wrong(3, "x", [1], [None]) + bad([]),
    ),
    entry(
        p.harder_prompts,
        lambda t: {
            "tokenizer": t.tokenizer,
            "haystack": t.haystack,
            "kind": "plain",
            "context_lengths": 128,
            "depths": 1,
            "n_needles": 1,
        },
        tokenizer=TOKENIZER,
        haystack=wrong(None, 3, "synthetic", ["Rain."]),
        kind=choice(nearly="plane"),
        context_lengths=LENGTHS,
        depths=DEPTHS,
        n_needles=whole(1, 10_000),
        seed=SEED,
        needles=wrong(3, "x", [1]) + bad([]),
        template=TEMPLATE,
    ),
    entry(p.words_in_common, lambda t: {"needle": t.needles[0]}, needle=instance()),
    entry(
        p.Distractor,
        lambda t: {"text": "It was Ann.", "answer": "Ann"},
        text=ANSWER,
        answer=ANSWER,
    ),
    entry(p.load_needles, path=missing_file() + NEEDLE_FILES),
    entry(
        p.Haystack,
        lambda t: {"name": "mine", "documents": ("Rain.",)},
        name=text(),
        documents=wrong(None, 3, "Rain.", [3], [None])
        + bad((), ("",), ("Rain.", " "), ("\ud800",), piece="documents"),
    ),
    entry(
        p.text_haystack,
        lambda t: {"texts": ["Rain."]},
        texts=wrong(None, 3, "Rain.", [3], [None], {"a": 1}) + bad([], ["", " "]),
        name=text(),
    ),
    entry(
        p.synthetic_haystack,
        lambda t: {"n_sentences": 10},
        seed=SEED,
        n_sentences=whole(1) + bad(10**9),
    ),
    entry(
        p.file_haystack,
        path=missing_file()
        + TEXT_FILES
        + made(lambda t: t.folder, error=OSError, piece="no file"),
    ),
    entry(
        p.folder_haystack,
        lambda t: {"path": t.file("texts/a.txt", "Rain.").parent},
        path=missing_file(NotADirectoryError)
        + made(lambda t: t.file("texts/a.txt", "Rain."), error=NotADirectoryError)
        + made(lambda t: t.file("blanks/b.txt", " ").parent, piece="b.txt"),
        pattern=text() + bad("/etc/*", "*.none", "a\0b", "../[", "x" * 10**5),
    ),
    entry(
        p.dataset_haystack,
        lambda t: {"name": "me/books", "column": "text", "revision": "abc"},
        name=text(),
        column=text(),
        split=text(),
        revision=wrong(3, b"x", ["x"]) + bad(None, "", "main", "HEAD"),
        config=text(none=True),
        max_documents=whole(1, none=True),
    ),
    entry(
        p.load_haystack,
        lambda t: {"spec": "synthetic"},
        spec=text()
        + bad("syntetic", "no/such", "x" * 5000, "a\0b", "hf:", "hf:me/books", "hf:me/b:c@main",
              piece="")
        + made(lambda t: str(t.file("u16.txt", "Rain.".encode("utf-16"))), piece="u16.txt"),
        seed=SEED,
    ),
    entry(
        p.Template,
        lambda t: {"name": "mine", "text": "{context} {question}"},
        name=text(),
        text=text() + bad("x", "{context}", "{question} {context}", "{context}" * 2,
                          "{a}" * 10**5, "{context} {question} \ud800"),
    ),
    entry(
        p.Template.split,
        lambda t: {"self": p.BASE_TEMPLATE},
        question=text(blank=True),
    ),
    entry(
        p.chat_template,
        chat,
        tokenizer=CHATS,
        system=text(none=True),
        content=text() + bad("no fields", "{question} {context}", piece="{context}"),
    ),
    entry(
        p.load_template,
        lambda t: {"spec": "chat", **chat(t)},
        spec=text()
        + bad("chatt", "no/such", "x" * 5000, "a\0b", "{context}", "{x} {context} {question}",
              "{" + "x" * 10**6 + "}", piece="")
        + made(lambda t: str(t.file("t16.txt", "x".encode("utf-16"))), piece="t16.txt"),
        tokenizer=CHATS,
    ),
]  # fmt: skip


def damaged(name, content):
    """The bundled model with other content in one of its files."""

    def make(t):
        for file in demo.DEMO_MODEL_FOLDER.iterdir():
            t.file(f"damaged-{name}-{len(content)}/{file.name}",
                   content if file.name == name else file.read_bytes())  # fmt: skip
        return t.folder / f"damaged-{name}-{len(content)}"

    return make


def half_weights(t):
    whole_file = (demo.DEMO_MODEL_FOLDER / "model.safetensors").read_bytes()
    return damaged("model.safetensors", whole_file[: len(whole_file) // 2])(t)


def with_snapshots(t):
    """A folder with a table of moments."""
    path = t.folder / "with-snapshots" / "snapshots.csv"
    path.parent.mkdir(exist_ok=True)
    t.emergence.to_dataframe().to_csv(path, index=False)
    return path.parent


def with_weights(t):
    """The folder of a training that kept the weights of one moment."""
    folder = t.folder / "training"
    if not folder.exists():
        shutil.copytree(t.model_folder, folder / "snapshots" / "10")
    return folder


DEMO = [
    entry(
        demo.example_task,
        lambda t: {"name": "qa", "n": 2},
        name=choice(nearly="qaa"),
        n=whole(1),
        chain=tuple(value for value in FLAG if value.value is not None),
        seed=SEED,
    ),
    entry(
        demo.reading_items, n_documents=whole(1), n_facts=whole(1), n_sentences=whole(0), seed=SEED
    ),
    entry(demo.chain_items, n_documents=whole(1), n_sentences=whole(0), seed=SEED),
    entry(demo.sum_items, n=whole(1), seed=SEED),
    entry(demo.choice_items, n=whole(1), seed=SEED),
    entry(
        demo.snapshots,
        lambda t: {"model": with_snapshots(t)},
        model=PATH
        + made(lambda t: t.model_folder, piece="snapshots.csv")
        + bad("scholr", piece="bundled model"),
    ),
    entry(
        demo.score_weights,
        lambda t: {"folder": t.model_folder, "name": "last"},
        folder=PATH + made(lambda t: "/no/such/folder", error=OSError, piece="no such folder"),
        name=text(),
        step=bad(-1, float("inf")) + wrong("3", None),
        tokens=bad(-1, float("inf")) + wrong("3", None),
    ),
    entry(
        demo.score_moments,
        lambda t: {"run": with_weights(t)},
        run=PATH + made(lambda t: t.folder, lambda t: "/no/such/folder", piece="found none"),
    ),
    entry(
        demo.load_demo_model,
        model=PATH
        + bad("scholr", "gpt2", piece="Expected a bundled model")
        + made(lambda t: "/no/such/folder", error=OSError, piece="no such folder")
        + made(lambda t: t.folder, error=OSError, piece="config.json")
        + made(
            half_weights,
            damaged("model.safetensors", b""),
            damaged("config.json", b"{"),
            damaged("config.json", NESTED.encode()),
            damaged("tokenizer.json", b"{}"),
            error=Exception,
            piece="damaged",
        ),
        device=wrong(None, 3, ["cpu"]) + bad("", "gpu", "cuda:99", "meta", "cpu:9", "x" * 10**6),
        dtype=wrong(None, "float32", 32, np.float32) + bad(torch.int64, torch.bool),
    ),
]
