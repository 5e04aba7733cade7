"""What `rh-lens ablate` says and does while its answers are saved."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from rh_lens.runs import AblationFolder

Keep: TypeAlias = Callable[[Any], None]


def keeping(folder: "AblationFolder") -> Callable[[Keep], Keep]:
    """Wraps what keeps: says once that it can't be written, and goes on, as all will be printed."""
    said = False

    def wrapped(keep: Keep) -> Keep:
        def kept(found: Any) -> None:
            nonlocal said
            keep(found)
            if folder.problem and not said:
                said = True
                print(f"rh-lens: answers can't be saved for now: {folder.problem}", file=sys.stderr)

        return kept

    return wrapped


def say_what_is_there(folder: "AblationFolder") -> None:
    """What the folder held before."""
    if folder.done:
        print(f"{len(folder.done)} answers are in {folder.path}; going on.", file=sys.stderr)


@contextmanager
def saying_where_to_go_on(folder: "AblationFolder") -> Iterator[None]:
    """Context that says so when it is left by an error or by Ctrl-C."""
    try:
        yield
    except BaseException:
        if folder.done:
            print(
                f"{len(folder.done)} answers are in {folder.path}; the same command with this "
                "--out goes on.",
                file=sys.stderr,
            )
        raise
