"""Bad values for the rooms `runs` and `formats`."""

from functools import cache

import numpy as np
import pandas as pd
import torch
from bad_calls import entry
from bad_values import (
    FLAG,
    MODEL,
    PATH,
    TABLE,
    TOKENIZER,
    Bad,
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

from rh_lens import circuits, detection, formats, runs

LONG = (Bad("x" * 5000, OSError, "xxx"),)
NO_FOLDER = (Bad("no/such/file", OSError, "no/such"),)
NEW = PATH + LONG
WRITTEN = NEW + NO_FOLDER + made(lambda t: t.folder, error=OSError, piece="directory")
NEW_FOLDER = NEW + NO_FOLDER + made(lambda t: t.folder, error=FileExistsError, piece="folder")
SCORES = instance(torch.zeros(2, 3, 4), np.zeros((2, 3, 4)))
JSON = wrong(None, 3, "x", [1], {"a": object()}, {"a": {1, 2}}) + bad({"a": (loop := [])})
loop.append(loop)
N_LAYERS = whole(1, none=True)
PROMPTS = entries(single=lambda t: t.prompt)
NESTED = "[" * 10_000 + "]" * 10_000
BOMB = (
    "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]\n" for n in range(1, 12))
    + "attn_head_set: [*a11]\n"
)


def files(ending, *contents):
    """Score files with these contents."""
    names = [f"bad-{abs(hash(content))}{ending}" for content in contents]
    return made(
        *(lambda t, n=n, c=c: t.file(n, c) for n, c in zip(names, contents, strict=True)),
        piece="bad-",
    )


JUNK = ("", " \n", b"\xff\xfe\x00", "x" * 10**6, NESTED, "0-0 " * 2)
JSONS = files(".json", *JUNK, "{", "{}", "[]", "null", '{"0-0": "x"}', '{"0-0": []}',
              '{"0-0": [1e999]}', '{"0-0": [1], "0-1": [1, 2]}', '{"99999-0": [1]}',
              '{"0-0": 1, "0-0": 2}', '{"x": ' + NESTED + "}")  # fmt: skip
YAMLS = files(
    ".yaml", *JUNK, BOMB, "attn_head_set: " + NESTED, "attn_head_set: full_heads", "{", "a: 1",
    "attn_head_set: [[" + "1, " * 3000 + "1]]", "attn_head_set: 2024-13-45",
    "attn_head_set: []", "attn_head_set: !!python/object/apply:os.getcwd []",
)  # fmt: skip
TSVS = files(".tsv", *JUNK, "0.1\t0.2\n0.3", "0.1\tx", "nan\t0.1", "inf\t1")
TXTS = files(".txt", "", b"\xff\xfe\x00", "x" * 10**6, NESTED, "0-0 0-0", "0-99999")


def broken(name, content):
    """The finished run with other content in one of its files."""

    def make(t):
        target = f"broken-{name}-{abs(hash(content))}"
        for file in t.run.rglob("*.*"):
            place = file.relative_to(t.run)
            t.file(f"{target}/{place}", content if place.parts[0] == name else file.read_bytes())
        return t.folder / target

    return make


def ablation(content):
    """A folder with this `run.json`."""
    return lambda t: t.file(f"ablation-{abs(hash(content))}/run.json", content).parent


BROKEN = made(
    broken("run.json", ""),
    broken("run.json", NESTED),
    broken("run.json", '{"key": 3}'),
    broken("trials.jsonl", "x\n"),
    broken("log", b"\xff"),
    broken("events.parquet", b""),
    piece="broken",
)
STORED = NEW + made(lambda t: t.folder / "none", error=FileNotFoundError, piece="none")


def described(t):
    return dict(t.description)


def keyed(t):
    return runs.run_key(described(t), t.prompts, detection.detection_options(t.model, t.prompts))


def store(t):
    return {"path": t.folder / "new", "prompts": t.prompts, "key": keyed(t)}


def answering(t):
    opened = runs.TrialStore(t.folder / "new", t.prompts, keyed(t))
    return {"self": opened, "trial": t.result.trials[0], "events": t.result.events.table}


def silenced(t):
    return {
        "path": t.folder / "new", "model": described(t), "prompts": t.prompts, "options": {}
    }  # fmt: skip


DESCRIPTION = wrong(3, "x", [1], {"a": object()})
SCORE = tuple(Bad(one.value, one.error, "score") for one in choice(nearly="positon"))
SHARD = instance((1, 2), none=True)


@cache
def surveyed(t):
    survey = circuits.describe_heads(t.model, list(t.prompts[:2]), only=["sink", "local"])
    return survey, circuits.compare_kinds(survey.scores, n_permutations=10, n_resamples=2)


def used(t):
    """A folder as rh-lens rank leaves it."""
    folder = t.folder / "ranked"
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text('{"command": "rank"}')
    (folder / "ranking.csv").write_text("method,ndcg,ndcg_low,ndcg_high\na,1,1,1\n")
    return {"folder": folder}


RUNS = [
    entry(runs.Shard, lambda t: {"number": 1, "of": 2}, number=whole(1, 2),
          of=whole(1, huge=False) + bad(65_537, 10**30, piece="shards")),
    entry(
        runs.Shard.parse,
        text=wrong(None, 3, b"1/2", ["1/2"])
        + bad("", "x", "1", "0/2", "3/2", "1/0", "-1/2", "1/1000000000", "1/" + "9" * 10**6,
              piece="shard"),
    ),
    entry(runs.Shard.prompts, lambda t: {"self": runs.Shard(1, 2), "prompts": t.prompts},
          prompts=entries(empty=False, single=lambda t: t.prompt)),
    entry(
        runs.deal_prompts,
        lambda t: {"prompts": t.prompts, "n_shards": 2},
        prompts=entries(empty=False, single=lambda t: t.prompt),
        n_shards=wrong(None, "2", 1.5, True) + bad(0, -3, 10**9, 10**30, piece="shards"),
    ),
    entry(runs.load_run, lambda t: {"path": t.run}, path=STORED + BROKEN, recover=FLAG,
          prompts=entries(empty=False, single=lambda t: t.prompt)[1:]),
    entry(runs.StoredRun.score, lambda t: {"self": runs.load_run(t.run)}, name=SCORE),
    entry(runs.holds_one_run, folder=NEW),
    entry(
        runs.merge_runs,
        lambda t: {"paths": [t.run], "out": t.folder / "merged"},
        paths=wrong(None, 3, "run", [3], [None]) + bad([], [""], piece="paths")
        + made(lambda t: [t.run, t.run], piece="twice")
        + made(lambda t: [t.folder / "none"], error=FileNotFoundError, piece="none")
        + made(lambda t: [broken("run.json", "")(t)], piece="run.json"),
        out=NEW + made(lambda t: t.folder, error=FileExistsError, piece="found"),
        partial=FLAG,
    ),
    entry(
        runs.load_ablation,
        folder=STORED
        + made(ablation("{"), ablation("[1]"), ablation(NESTED), ablation('{"answers": {}}'),
               ablation('{"format": 3, "kind": "answers"}'), lambda t: t.run, piece=""),
    ),
    entry(
        runs.save_result, lambda t: {"result": t.result, "folder": t.folder / "new"},
        result=instance(),
        folder=NEW + made(lambda t: t.run, error=FileExistsError, piece="in use"),
        description=DESCRIPTION,
    ),
    entry(runs.load_result, lambda t: {"folder": t.run}, folder=STORED + BROKEN),
    entry(
        runs.AblationFolder, silenced, path=NEW, prompts=PROMPTS, options=JSON,
        model=JSON + bad({}, {"name": "demo"}), description=DESCRIPTION,
    ),
    entry(runs.AblationFolder.add, lambda t: {"self": runs.AblationFolder(**silenced(t))},
          answers=wrong(None, 3, "x", [1])),
    entry(runs.AblationFolder.add_losses, lambda t: {"self": runs.AblationFolder(**silenced(t))},
          losses=wrong(None, 3, "x", [1])),
    entry(runs.AblationFolder.finish, lambda t: {"self": runs.AblationFolder(**silenced(t))},
          tables=wrong(None, 3, "x", [1], {"curve": pd.DataFrame()})),
    entry(
        runs.TaskFolder, silenced, path=NEW, prompts=PROMPTS, options=JSON,
        model=JSON + bad({}, {"name": "demo"}), description=DESCRIPTION,
    ),
    entry(
        runs.TaskFolder.answers_from,
        lambda t: {"self": runs.TaskFolder(**silenced(t)), "first": 0, "n": 1},
        first=whole(0, huge=False), n=whole(0, huge=False),
    ),
    entry(
        runs.TaskFolder.add_from,
        lambda t: {"self": runs.TaskFolder(**silenced(t)), "first": 0, "answers": {}},
        first=whole(0, huge=False), answers=wrong(None, 3, "x", [1]),
    ),
    entry(runs.TaskFolder.finish, lambda t: {"self": runs.TaskFolder(**silenced(t))},
          tables=wrong(None, 3, "x", [1], {"curve": pd.DataFrame()})),
    entry(
        runs.load_evaluation,
        folder=STORED + made(ablation("{"), ablation("[1]"), lambda t: t.run, piece=""),
    ),
    entry(
        runs.TrialStore, store, path=NEW, prompts=PROMPTS, key=JSON + bad({}, {"model": {}}),
        description=DESCRIPTION, shard=SHARD, save_prompts=FLAG,
    ),
    entry(runs.TrialStore.start, lambda t: {"self": answering(t)["self"]},
          index=whole(0) + bad(99)),
    entry(runs.TrialStore.add, answering, trial=instance(), events=TABLE),
    entry(
        runs.RunFolder,
        lambda t: {"path": t.folder / "new", "model": t.model, "prompts": t.prompts},
        path=NEW,
        model=MODEL,
        prompts=PROMPTS,
        hooks=text(none=True),
        name=text(none=True),
        description=DESCRIPTION,
        shard=SHARD,
        save_prompts=FLAG,
        choices=bad(3, piece="choices"),
    ),
    entry(
        runs.RunFolder.detect,
        lambda t: {"self": runs.RunFolder(t.folder / "new", t.model, t.prompts)},
        execution=instance(), progress=FLAG, until=wrong(3, ["stable"]) + bad("stabel", ""),
    ),
    entry(
        runs.run_key,
        lambda t: {
            "model": described(t), "prompts": t.prompts,
            "options": detection.detection_options(t.model, t.prompts),
        },
        model=JSON + bad({}, {"n_layers": 4}),
        prompts=PROMPTS,
        options=instance(),
        hooks=text(none=True),
    ),
    entry(
        runs.require_same_weights,
        lambda t: {"folder": t.folder, "there": described(t), "here": described(t)},
        folder=NEW,
        there=JSON + bad({}, {"weights_sha256": "x"}),
        here=JSON + bad({}, {"weights_sha256": "x"}),
    ),
    entry(
        runs.read_scores, lambda t: {"path": t.run},
        path=missing_file() + BROKEN + made(lambda t: t.folder, error=OSError, piece="found"),
    ),
    entry(
        runs.describe_command,
        lambda t: {"command": "detect", "arguments": {}, "prompts": t.prompts},
        command=text(), arguments=wrong(None, 3, "x", [1]), prompts=PROMPTS,
    ),
    entry(runs.prompts_sha256, prompts=entries(empty=False, single=lambda t: t.prompt)),
    entry(runs.trial_record, trial=instance()),
    entry(
        runs.save_survey,
        lambda t: {"survey": surveyed(t)[0], "overlap": surveyed(t)[1], "folder": "survey"},
        survey=instance(), overlap=instance(), folder=NEW,
        description=tuple(value for value in JSON if value.value is not None),
    ),
    entry(
        runs.load_survey,
        lambda t: {"folder": runs.save_survey(*surveyed(t), t.folder / "survey")},
        folder=STORED,
    ),
    entry(runs.load_use, used, folder=STORED),
    entry(runs.save_claims, lambda t: {"claims": [], "path": "claims.json"},
          claims=wrong(None, 3, "x", [1]), path=WRITTEN),
    entry(runs.load_claims,
          lambda t: {"path": runs.save_claims([], t.folder / "claims.json")},
          path=missing_file() + JSONS),
    entry(
        runs.score_moment,
        lambda t: {"model": t.model, "prompts": t.prompts[:1], "name": "last"},
        model=MODEL,
        prompts=PROMPTS,
        name=text(),
        step=bad(-1, float("inf")) + wrong("3", None),
        tokens=bad(-1, float("inf")) + wrong("3", None),
        max_new_tokens=whole(1, none=True, huge=False),
        progress=FLAG,
    ),
    entry(
        runs.score_revisions,
        lambda t: {"name": t.model_folder, "revisions": ["main"], "prompts": t.prompts[:1]}
        | {"progress": False},
        name=PATH,
        revisions=wrong(None, 3, [None], [3]) + bad([], [""], ["main", "main"]),
        prompts=PROMPTS,
        folder=tuple(one for one in NEW if one.value is not None)
        + made(lambda t: t.score_file, error=OSError, piece="head_scores"),
        tokens_per_step=number(above=0, none=True),
        max_new_tokens=whole(1, none=True, huge=False),
        dtype=wrong(None, "float32", 32),
        progress=FLAG,
    ),
    entry(runs.tokenizer_sha256, tokenizer=TOKENIZER),
    entry(runs.config_sha256, model=MODEL),
    entry(runs.weights_sha256, model=MODEL),
    entry(runs.describe_model, lambda t: {"model": t.model, "name": "demo"}, model=MODEL,
          name=text()),
    entry(runs.reserve_file, lambda t: {"path": t.folder / "f"}, lazy=True, path=NEW + NO_FOLDER),
    entry(runs.reserve_folder, lambda t: {"folder": t.folder / "f"}, lazy=True,
          folder=NEW + made(lambda t: t.score_file, error=OSError, piece="head_scores")),
    entry(
        runs.reserve_new_folder, lambda t: {"parent": t.folder, "name": "f"}, lazy=True,
        parent=NEW + made(lambda t: t.score_file, error=OSError, piece="head_scores"),
        name=text() + bad("a\0b") + LONG,
    ),
]  # fmt: skip

FORMATS = [
    entry(
        formats.read_head_scores, lambda t: {"path": t.score_file},
        path=missing_file() + JSONS + YAMLS + TSVS + TXTS,
        n_layers=N_LAYERS + bad(1), n_heads=N_LAYERS + bad(1), means_only=FLAG, name=text(),
    ),
    entry(
        formats.read_duo_attention, lambda t: {"path": t.file("gates.tsv", "0.1\t0.2\n0.3\t0.4\n")},
        path=missing_file() + TSVS, n_layers=N_LAYERS + bad(1, piece="layers"),
        n_heads=N_LAYERS + bad(3),
    ),
    entry(
        formats.read_qrhead, lambda t: {"path": t.file("heads.txt", "1-2, 0-3")},
        path=missing_file() + YAMLS + TXTS,
        n_layers=N_LAYERS + bad(1, piece=""), n_heads=N_LAYERS + bad(1, piece=""),
    ),
    entry(formats.write_head_scores, lambda t: {"scores": t.scores, "path": "s.json"},
          scores=SCORES, path=WRITTEN),
    entry(formats.write_head_means, lambda t: {"scores": t.scores, "path": "s.json"},
          scores=SCORES, path=WRITTEN),
    entry(formats.write_duo_attention, lambda t: {"scores": t.scores, "path": "g.tsv"},
          scores=SCORES, path=WRITTEN, n_kv_heads=N_LAYERS + bad(3, 999)),
    entry(formats.export_heads, lambda t: {"scores": t.scores, "folder": "pattern"},
          scores=SCORES, folder=NEW_FOLDER, n_kv_heads=N_LAYERS + bad(3, 999),
          sink=whole(0, huge=False), recent=whole(1, huge=False)),
    entry(formats.read_attention_pattern,
          lambda t: {"folder": t.folder}, folder=missing_file(OSError)),
    entry(formats.write_qrhead, lambda t: {"heads": t.heads, "path": "h.yaml"},
          heads=entries() + made(lambda t: t.heads * 2, lambda t: t.heads * 10**5),
          path=WRITTEN),
]  # fmt: skip
