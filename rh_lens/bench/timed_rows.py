"""What a benchmark has timed, in a file: after a kill it is not timed again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rh_lens.bench.agreement import Agreement
from rh_lens.bench.conditions import ConditionsRow
from rh_lens.bench.finding import FindingRow
from rh_lens.bench.table import Row
from rh_lens.checks import require_list, shown
from rh_lens.files import read_plain_file, usable_path, write_json
from rh_lens.runs.run_key import key_differences, require_description

_MAX_BYTES = 1 << 24


@dataclass(frozen=True)
class TimedRows:
    """What a benchmark has timed.

    Args:
        rows: From `run_benchmark`.
        conditions: From `benchmark_conditions`.
        finding: From `benchmark_finding`.
    """

    rows: tuple[Row, ...] = ()
    conditions: tuple[ConditionsRow, ...] = ()
    finding: tuple[FindingRow, ...] = ()


def write_timed_rows(
    path: str | Path,
    key: Mapping[str, Any],
    rows: Sequence[Row],
    conditions: Sequence[ConditionsRow] = (),
    finding: Sequence[FindingRow] = (),
) -> None:
    """Replace a file of timed rows at once.

    Args:
        path: The file.
        key: What moves a time: the machine, the versions, the repeats. JSON values.
        rows: From `run_benchmark`.
        conditions: From `benchmark_conditions`.
        finding: From `benchmark_finding`.

    Raises:
        OSError: It can't be written.
        TypeError: An argument has the wrong type.
        ValueError: The path is empty or holds a zero byte.

    Examples:
        >>> rows = [Row("bundled", "accepted", 256, "a", 10, 0.04, (1.0, 1.0, 1.0), 5.0, True)]
        >>> write_timed_rows("times.json", {"machine": "this one"}, rows)
        >>> read_timed_rows("times.json", {"machine": "this one"}).rows == tuple(rows)
        True
    """
    require_description("key", key)
    require_list("rows", rows, Row)
    require_list("conditions", conditions, ConditionsRow)
    require_list("finding", finding, FindingRow)
    timed = asdict(TimedRows(tuple(rows), tuple(conditions), tuple(finding)))
    write_json(usable_path("path", path), {"key": dict(key), **timed})


def read_timed_rows(path: str | Path, key: Mapping[str, Any]) -> TimedRows:
    """The rows of a file; none where there is no file.

    Args:
        path: From `write_timed_rows`.
        key: As there.

    Raises:
        OSError: It can't be read.
        TypeError: An argument has the wrong type.
        ValueError: It was timed otherwise, or is no such file.

    Examples:
        >>> read_timed_rows("missing.json", {"machine": "this one"})
        TimedRows(rows=(), conditions=(), finding=())
    """
    require_description("key", key)
    path = usable_path("path", path)
    if not path.exists():
        return TimedRows()
    try:
        content = json.loads(read_plain_file(path, at_most=_MAX_BYTES))
        before = dict(content["key"])
        timed = TimedRows(
            tuple(Row(**_with_ratio(one)) for one in content["rows"]),
            tuple(ConditionsRow(**_with_ratio(one)) for one in content["conditions"]),
            tuple(FindingRow(**_with_agreement(one)) for one in content["finding"]),
        )
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(
            f"Expected times of an earlier benchmark in {shown(str(path), 300)}; found what can't "
            f"be read ({type(error).__name__}: {str(error)[:100]}). Remove it, or choose another."
        ) from error
    if differences := key_differences(before, json.loads(json.dumps(key))):
        raise ValueError(
            f"Expected the benchmark in {shown(str(path), 300)} to be this one; found that it "
            f"differs in {'; '.join(differences[:8])}. Remove it, or name another file."
        )
    return timed


def _with_ratio(values: Mapping[str, Any]) -> dict[str, Any]:
    return {**values, "ratio": tuple(values["ratio"])}


def _with_agreement(values: Mapping[str, Any]) -> dict[str, Any]:
    found = values["agreement"]
    return {**values, "agreement": None if found is None else Agreement(**found)}
