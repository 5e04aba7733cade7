"""Bad values for every argument of every command."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Arguments = dict[str, list[Any]]
NOT_WHOLE = ["0", "-5", "1.5", "x", "", "nan", "9" * 5000]
NOT_SHARE = ["nan", "inf", "-1", "2", "x", ""]
SEEDS = ["-1", "1.5", "x", "", "9" * 30]
FLAG = [("=1", "ignored explicit argument")]
CHOICES = ["", "x", "posi"]
FILES = ["", "a\0b"]


def file(name: str, content: str | bytes) -> Callable[[Any], str]:
    """A path of a file with this content."""
    return lambda t: str(t.file(name, content))


def folder(name: str, **files: str | bytes) -> Callable[[Any], str]:
    """A path of a folder with these files; a double underscore stands for the dot."""

    def make(t: Any) -> str:
        for file_name, content in files.items():
            t.file(f"{name}/{file_name.replace('__', '.')}", content)
        (t.folder / name).mkdir(exist_ok=True)
        return str(t.folder / name)

    return make


def damaged_model(name: str, change: Callable[[Path], None]) -> Callable[[Any], str]:
    """A copy of the bundled model with something changed."""

    def make(t: Any) -> str:
        from shutil import copytree

        from rh_lens.demo import DEMO_MODEL_FOLDER

        target = t.folder / name
        if not target.exists():
            copytree(DEMO_MODEL_FOLDER, target)
            change(target)
        return str(target)

    return make


def cut(keep: int) -> Callable[[Path], None]:
    def change(target: Path) -> None:
        path = target / "model.safetensors"
        path.write_bytes(path.read_bytes()[:keep])

    return change


def configure(**values: Any) -> Callable[[Path], None]:
    def change(target: Path) -> None:
        path = target / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def without(name: str) -> Callable[[Path], None]:
    return lambda target: (target / name).unlink()


DEEP = "[" * 10_000 + "]" * 10_000
NEEDLE = {"question": "Who?", "needle": "Who is it? A heron.", "answer": "A heron"}


MODEL: Arguments = {
    "--device-map": [
        "",
        "autoo",
        ("auto", "bundled"),
        file("map.json", "[1]"),
        file("bad.json", "{"),
    ],
    "--model": [
        "",
        "no/such/model/folder",
        "./missing",
        "no-such-model",
        ("demo:findr", "Did you mean 'demo:finder'?"),
        folder("empty-folder"),
        file("a-file.txt", "x"),
        damaged_model("cut-weights", cut(1000)),
        damaged_model("no-bytes", cut(0)),
        damaged_model("half-weights", cut(2_000_000)),
        damaged_model("other-config", configure(hidden_size=96)),
        damaged_model("no-config", without("config.json")),
        damaged_model("no-weights", without("model.safetensors")),
        damaged_model("odd-config", lambda p: (p / "config.json").write_text("{")),
        damaged_model("odd-type", configure(model_type="no_such_type")),
    ],
    "--revision": ["", "main"],
    "--device": ["", "foo", "cuda:99", "cpu:9", "meta"],
    "--dtype": ["", "int8", ("float23", "Did you mean")],
}
PROMPTS: Arguments = {
    "--lengths": [
        *NOT_WHOLE, "128,,256", "128,x", "1e3", "k", "4", "1000000", "9000k", "1," * 2000 + "1",
    ],
    "--depths": [*NOT_WHOLE, "1000000000"],
    "--needles": [
        *FILES,
        "no-such-file",
        folder("a-folder"),
        file("empty.jsonl", ""),
        file("binary.jsonl", bytes(range(256)) * 10),
        file("utf16.jsonl", json.dumps(NEEDLE).encode("utf-16")),
        file("broken.jsonl", '{"question": '),
        file("list.jsonl", "[1, 2]"),
        file("number.jsonl", "7"),
        file("deep.jsonl", DEEP),
        file("keys.jsonl", '{"q": 1}'),
        file("types.jsonl", json.dumps(NEEDLE | {"question": 3})),
        file("blank.jsonl", json.dumps(NEEDLE | {"answer": " "})),
        file("absent.jsonl", json.dumps(NEEDLE | {"answer": "an otter"})),
        file("huge.jsonl", json.dumps(NEEDLE | {"needle": "A heron. " * 400_000})),
    ],
    "--haystack": [
        "", "no-such-file", "synthetc", "hf:x", "hf:a/b:text", "hf:a/b:text@main",
        file("empty.txt", ""),
        file("blank.txt", " \n\n "),
        file("binary.txt", bytes(range(128, 256)) * 10),
        file("no-sentence.txt", "word " * 2000),
        file("short.txt", "One sentence. Another one."),
        folder("no-texts"),
    ],
    "--allow-repeat": FLAG,
    "--template": [
        "", "no-such-file", "{context}", "{question}", "{context} {quesion}", "x" * 5000,
        "{context}{context}{question}",
        file("empty-template.txt", ""),
    ],
    "--seed": SEEDS,
    "--max-new-tokens": [*NOT_WHOLE, "100000"],
    "--stop": [""],
    "--distractors": ["-1", "x", "1.5", ""],
    "--inexact-spans": ["", ("dropp", "Did you mean 'drop'?")],
}  # fmt: skip
OUT = [*FILES, file("a-file.txt", "x"), (lambda t: f"{t.file('a-file.txt', 'x')}/below", "a-file")]
SCORE_FILES = [
    "",
    "no-such-file.json",
    folder("empty-run"),
    file("empty.json", ""),
    file("broken.json", '{"0-0": [1'),
    file("list.json", "[1, 2]"),
    file("none.json", "{}"),
    file("text.json", '{"0-0": "x"}'),
    file("label.json", '{"a-b": [1]}'),
    file("nan.json", '{"0-0": [NaN], "0-1": [Infinity]}'),
    file("uneven.json", '{"0-0": [1, 2], "0-1": [1]}'),
    file("deep.json", DEEP),
    file("deep-object.json", '{"0-0": ' * 10_000 + "1" + "}" * 10_000),
    file("far.json", '{"199999-0": [1.0]}'),
    file("wide.json", '{"0-199999": [1.0]}'),
    file("huge-number.json", '{"0-0": [1e999]}'),
    file("long-label.json", json.dumps({"x" * 10**6: [1.0]})),
    file("binary.json", bytes(range(256))),
    folder("bomb", config__yaml="a: &a [x,x]\n" + "".join(
        f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True))),
    folder("deep-run", run__json=DEEP),
    folder("no-status", run__json="{}"),
    folder("odd-run", run__json="[]"),
]  # fmt: skip


# The commands share these arguments: a few values show that they reach the checks.
FEW = {argument: values[:3] for argument, values in (MODEL | PROMPTS).items()}


def fine_scores(t: Any) -> str:
    return str(t.score_file)


COMMANDS: dict[str, tuple[list[Any], Arguments]] = {
    "detect": (
        ["--quiet", "--lengths=96", "--depths=1"],
        MODEL | PROMPTS | {
            "--until": ["", "x", "stabel", "top:0", "top:x", "scores:0.9", "scores:x"],
            "--dry-run": FLAG,
            "--packed": [("alwayss", "Did you mean 'always'?")],
            "--needles-per-context": [*NOT_WHOLE, ("2", "--packed")],
            "--haystack-kind": [*CHOICES, ("multikey", "Did you mean 'multi-key'?")],
            "--grid": [*CHOICES, ("papre", "Did you mean 'paper'?")],
            "--closed-book": FLAG,
            "--score": [*CHOICES, ("positon", "Did you mean 'position'?")],
            "--threshold": NOT_SHARE,
            "--out": OUT,
            "--json": FLAG,
            "--shard": ["", "1", "0/2", "3/2", "a/b", "1/0", "1/2/3", "-1/2", "1/1000000000"],
            "--save-prompts": FLAG,
            "--compat": ["", ("offical", "Did you mean 'official'?")],
            "--quiet": FLAG,
        },
    ),
    "ablate": (
        ["--quiet", "--lengths=256", "--depths=1"],
        FEW | {
            "SCORES": SCORE_FILES[:6],
            "--top": ["-1", "x", "", "1,,2", "1.5", "99999"],
            "--threshold": NOT_SHARE,
            "--controls": ["-1", "x", "1.5", "", "10000000000"],
            "--match": ["", "depth", "layer,depth", "layers"],
            "--rankings": ["-1", "x", "1.5", "", "10000000000"],
            "--family": ["", ("layrr", "Did you mean 'layer'?")],
            "--margin": ["0", "nan", "-1", "1", "x", ""],
            "--control-seed": SEEDS,
            "--operator": ["", "mask"],
            "--factor": ["nan", "inf", "x", ""],
            "--scope": ["", ("decoding", "Did you mean 'decode'?")],
            "--out": OUT,
            "--json": FLAG,
            "--quiet": FLAG,
        },
    ),
    "evaluate": (
        ["--quiet", "--limit=1"],
        {argument: FEW[argument] for argument in MODEL} | {
            "RUN": SCORE_FILES[:6],
            "--task": ["", ("qaa", "Did you mean 'qa'?")],
            "--data": [
                "", "no-such-file", "hf:x", "hf:a/b:test", "hf:a/b:test@main",
                file("empty-data.jsonl", ""),
                (file("page.jsonl", "<html>"), "a web page"),
                (file("half.jsonl", '{"question": '), "line 1"),
                (file("no-answers.jsonl", '{"question": "x", "context": "y"}'), "line 1"),
            ],
            "--asked": ["", ("chian", "Did you mean 'chain'?")],
            "--limit": NOT_WHOLE,
            "--shots": ["-1", "x", "1.5", ""],
            "--chat": FLAG,
            "--max-new-tokens": [*NOT_WHOLE, "100000"],
            "--closed-book": FLAG,
            "--seed": SEEDS,
            "--top": ["-1", "x", "", "1,,2", "1.5", "99999"],
            "--threshold": NOT_SHARE,
            "--controls": ["-1", "x", "1.5", "", "10000000000"],
            "--match": ["", "depth"],
            "--rankings": ["-1", "x", "1.5", "", "10000000000"],
            "--family": ["", ("layrr", "Did you mean 'layer'?")],
            "--margin": ["0", "nan", "-1", "1", "x", ""],
            "--control-seed": SEEDS,
            "--operator": ["", "mask"],
            "--factor": ["nan", "inf", "x", ""],
            "--scope": ["", ("decoding", "Did you mean 'decode'?")],
            "--out": OUT,
            "--json": FLAG,
            "--quiet": FLAG,
        },
    ),
    "compress": (
        ["--quiet", "--lengths=256", "--depths=1"],
        FEW | {
            "SCORES": SCORE_FILES[:6],
            "--keep": [*NOT_SHARE, "0.1,,0.2", "0.1,x"],
            "--sink": ["-1", "x", "1.5", "", "10000000000"],
            "--recent": NOT_WHOLE,
            "--draws": NOT_WHOLE,
            "--draw-seed": SEEDS,
            "--chunk": NOT_WHOLE,
            "--items": ["-1", "x", "1.5", ""],
            "--data": [
                "", "no-such-file", (file("page.jsonl", "<html>"), "a web page"),
                (file("half.jsonl", '{"question": '), "line 1"),
            ],
            "--out": OUT,
            "--json": FLAG,
            "--quiet": FLAG,
        },
    ),
    "ask": (
        [],
        {argument: FEW[argument] for argument in (*MODEL, "--template", "--stop")} | {
            "SCORES": SCORE_FILES[:6],
            "QUESTION": ["", " "],
            "--document": [*FILES, "no-such-file", folder("a-folder"), file("empty.txt", ""),
                           file("binary.txt", bytes(range(128, 256)) * 10),
                           file("long.txt", "A fox ran over the hill. " * 2000)],
            "--threshold": NOT_SHARE,
            "--heads": NOT_WHOLE,
            "--least-support": NOT_SHARE,
            "--max-new-tokens": [*NOT_WHOLE, "100000"],
            "--out": FILES,
            "--json": FLAG,
        },
    ),
    "rank": (
        ["--quiet"],
        {argument: FEW[argument] for argument in (*MODEL, "--template", "--seed")} | {
            "SCORES": SCORE_FILES[:6],
            "--data": [*FILES, "no-such-file", folder("a-folder"), file("empty.jsonl", ""),
                       file("binary.jsonl", bytes(range(128, 256)) * 10), file("list.jsonl", "[1]"),
                       file("deep.jsonl", DEEP), file("keys.jsonl", '{"query": "a"}'),
                       file("blank.jsonl", '{"query": "a", "passages": [" "], "relevant": []}'),
                       (file("long.jsonl", json.dumps({"query": "a", "relevant": [0],
                             "passages": ["A fox ran. " * 3000]})), "context window")],
            "--split": ["", " "],
            "--passages": [*NOT_WHOLE, "1"],
            "--limit": NOT_WHOLE,
            "--threshold": NOT_SHARE,
            "--heads": NOT_WHOLE,
            "--controls": ["-1", "x", "1.5", "", "10000000000"],
            "--k": NOT_WHOLE,
            "--recall-at": [*NOT_WHOLE, "1,,2"],
            "--null-query": ["", " "],
            "--out": OUT,
            "--json": FLAG,
            "--quiet": FLAG,
        },
    ),
    "audit": (
        [],
        {
            "SCORES": SCORE_FILES,
            "--thresholds": [*NOT_SHARE, "0.1,,0.2", "0.1,x", "0.1," * 2000 + "1"],
            "--out": FILES,
            "--json": FLAG,
        },
    ),
    "compare": (
        [],
        {
            "RESULTS": SCORE_FILES[:6],
            "--top": [*NOT_WHOLE, "99999"],
            "--p": ["0", "1", "-1", "2", "nan", "inf", "x", ""],
            "--kv-heads": [*NOT_WHOLE, "3"],
            "--group": ["", ("maxx", "Did you mean 'max'?")],
            "--threshold": NOT_SHARE,
            "--permutations": [*NOT_WHOLE, "10000000000"],
            "--seed": SEEDS,
            "--out": FILES,
            "--json": FLAG,
        },
    ),
    "merge": (
        [],
        {
            "DIR": ["", "no-such-folder", folder("nothing"), file("a-file.txt", "x"),
                    folder("odd-run", run__json="[]"), folder("deep-run", run__json=DEEP)],
            "--out": FILES,
            "--partial": FLAG,
            "--json": FLAG,
        },
    ),
    "doubt": (
        ["--doubts=shuffled labels"],
        {argument: FEW[argument] for argument in MODEL} | {
            "RUN": SCORE_FILES[:6],
            "--doubts": ["", "x", "dose-response,,random spans", "dose"],
            "--minutes": ["0", "-1", "nan", "inf", "x", ""],
            "--heads": [*NOT_WHOLE, "10000000000"],
            "--threshold": NOT_SHARE,
            "--length": [*NOT_WHOLE, "4", "1000000"],
            "--depths": [*NOT_WHOLE, "1000000000"],
            "--needles": PROMPTS["--needles"][:6],
            "--seed": SEEDS,
            "--out": OUT,
            "--json": FLAG,
        },
    ),
    "describe": (
        ["--quiet", "--lengths=96"],
        FEW | {
            "RUN": ["", "no-such-folder", folder("nothing"), file("a-file.txt", "x")],
            "--out": OUT,
            "--json": FLAG,
            "--quiet": FLAG,
        },
    ),
    "study": (
        ["--quick"],
        {argument: FEW[argument] for argument in (*MODEL, "--lengths", "--needles", "--haystack",
                                                  "--allow-repeat", "--template", "--seed")
         if argument != "--model"} | {
            "MODEL": FEW["--model"],
            "--quick": FLAG,
            "--minutes": ["0", "-1", "nan", "inf", "x", ""],
            "--uses": FLAG,
            "--out": OUT,
        },
    ),
    "show": (
        [],
        {
            "--doubts": ["", "no-such-folder", folder("nothing"), file("a-file.txt", "x"),
                         folder("odd-doubts", doubts__json="[]")],
            "--tasks": ["", "no-such-folder", folder("nothing"), file("a-file.txt", "x")],
            "--uses": ["", "no-such-folder", folder("nothing"), file("a-file.txt", "x"),
                       folder("odd-run", run__json="[]"), folder("deep-run", run__json=DEEP),
                       folder("other-run", run__json='{"command": "detect"}')],
            "--note": [""],
            "--survey": ["", "no-such-folder", folder("nothing"), file("a-file.txt", "x"),
                         folder("odd-survey", survey__json="[]")],
            "RUN": ["", "no-such-folder", folder("nothing"), file("a-file.txt", "x"),
                    folder("odd-run", run__json="[]"), folder("deep-run", run__json=DEEP)],
            "--ablation": ["", "no-such-folder", folder("nothing"), file("a-file.txt", "x")],
            "--claims": ["", "no-such-file", folder("nothing"), file("a-file.txt", "x"),
                         file("odd.json", '{"claims": [{"name": 3}]}')],
            "--out": FILES,
            "--trials": ["", "x", "-1", "1.5"],
            "--title": [""],
            "--json": FLAG,
        },
    ),
    "demo-page": (
        [],
        {"--model": ["", ("demo:x", "demo:finder"), "gpt2"], "--out": FILES, "--quiet": FLAG},
    ),
    "bench": (
        [],
        {
            "--quick": FLAG,
            "--repeats": [*NOT_WHOLE, "10000000000"],
            "--device": ["", "foo", "cuda:99", "cpu:9"],
            "--dtype": ["", "float8"],
            "--out": FILES,
            "--json": FLAG,
        },
    ),
}  # fmt: skip
MAIN = [
    ([], "COMMAND"),
    (["detct"], "Did you mean 'detect'?"),
    ([""], "invalid choice"),
    (["x" * 100_000], "invalid choice"),
    (["--verson"], "required"),
    (["detect", "--lenghts", "128"], "Did you mean '--lengths'?"),
    (["detect", "extra"], "extra"),
    (["ablate", "a", "b"], "b"),
    (["audit"], "required"),
    (["merge"], "required"),
    (["compare", "one.json"], "one.json"),
    (["detect", "--lengths"], "expected one argument"),
]


def command_line(name: str, argument: str, value: str, base: list[str], t: Any) -> list[str]:
    """Words of a command with one bad value, all others good."""
    if argument.startswith("--"):
        good = [fine_scores(t)] if name in ("audit", "compress", "rank") else []
        good = [fine_scores(t), f"other={t.score_file}"] if name == "compare" else good
        good = [str(t.folder / "no-such-run")] if name == "merge" else good
        good = [str(t.run)] if name in ("show", "doubt", "describe") else good
        good = [fine_scores(t)] if name in ("ablate", "evaluate") and argument == "--top" else good
        good = asking(t)[: 2 if argument == "--document" else 3] if name == "ask" else good
        return [
            name,
            *good,
            *base,
            f"{argument}{value}" if value == "=1" else f"{argument}={value}",
        ]
    good = [f"other={t.score_file}"] if name == "compare" else []
    if name == "ask":
        scores, question, document = asking(t)
        good = [question] if argument == "SCORES" else []
        return [name, *([] if argument == "SCORES" else [scores]), value, *good, document]
    return [name, value, *good, *base]


def asking(t: Any) -> list[str]:
    """Good words of `rh-lens ask`."""
    return [fine_scores(t), "Why?", f"--document={t.file('good.txt', 'It rained.')}"]
