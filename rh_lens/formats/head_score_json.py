"""Head scores in JSON: lists or means by head, nested by layer, or as pairs of head and score."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from rh_lens.formats.score_file import ScoreFile
from rh_lens.heads import MAX_INDEX, Head

# Keys under which some projects put the scores beside other entries.
_ENVELOPES = ("scores", "head_scores")

# Exactly these: true and false are no numbers.
_NUMBERS = (int, float)


HeadLists: TypeAlias = dict[Head, Float[np.ndarray, " _"]]


@dataclass(frozen=True, eq=False)
class HeadValues:
    """What a JSON file holds of each head.

    Args:
        format: "head lists", "head means", "nested lists", "nested means", "pair lists" or
            "pair means".
        values: Scores of each head; one where the file holds means.
        means: Whether the file holds one number for each head instead of a list.
    """

    format: str
    values: HeadLists
    means: bool


def parse_head_scores(file: ScoreFile) -> HeadValues:
    """The scores of each head in a JSON file.

    Known are `{"16-19": [0.9, 1.0]}`, `{"16": {"19": [0.9, 1.0]}}`, `[[[16, 19], [0.9, 1.0]]]` and
    `[["16-19", [0.9, 1.0]]]`, each with one number instead of the list as well, pairs in either
    order then, and any of them as the entry "scores" or "head_scores" of an object.

    Raises:
        ValueError: The file is not JSON, has none of these forms, names a head twice or not at all,
            mixes lists and numbers, or holds something else than finite numbers.
    """
    form, entries = _entries(file, _load(file))
    values: HeadLists = {}
    kinds: dict[bool, str] = {}
    for head, key, value in entries:
        if head in values:
            raise _malformed(file, key, "each head once", f"{head.label} twice", "Remove one.")
        values[head] = _numbers(file, key, value)
        kinds.setdefault(isinstance(value, list), key)
    if not values:
        raise _malformed(file, "the top", "scores of heads", "no head", "Make the file anew.")
    if len(kinds) == 2:
        found = f"a list, and one number at {kinds[False]}"
        raise _malformed(
            file, kinds[True], "a list for every head or one number for every head", found,
            "Make them alike.",
        )  # fmt: skip
    means = False in kinds
    return HeadValues(f"{form} {'means' if means else 'lists'}", values, means)


def _load(file: ScoreFile) -> Any:
    """The JSON value; objects as tuples of pairs, so that a key may be seen twice, arrays as lists.

    Scores under "scores" or "head_scores" are taken out of their envelope.
    """
    try:
        content = json.loads(file.text, object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"Expected head scores as one JSON value in {str(file.path)!r}; found none: "
            f"{str(error)[:200]}. Check that the file is whole and of this kind."
        ) from None
    if isinstance(content, tuple):
        inside = [value for key, value in content if key in _ENVELOPES]
        if len(inside) == 1 and isinstance(inside[0], tuple | list):
            return inside[0]
    return content


def _entries(file: ScoreFile, content: Any) -> tuple[str, Iterator[tuple[Head, str, Any]]]:
    """Name of the form, and head, place in the file and value of every entry."""
    if isinstance(content, tuple):
        if content and all(isinstance(value, tuple) for _, value in content):
            return "nested", _nested(file, content)
        return "head", _flat(file, content)
    if isinstance(content, list):
        return "pair", _pairs(file, content)
    raise _malformed(
        file, "the top", 'an object such as {"16-19": [...]}', repr(content), "Choose another."
    )


def _flat(file: ScoreFile, pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[Head, str, Any]]:
    """Entries of `{"16-19": ...}`."""
    for key, value in pairs:
        yield _head(file, repr(key), key), repr(key), value


def _nested(file: ScoreFile, layers: Iterable[tuple[str, Any]]) -> Iterator[tuple[Head, str, Any]]:
    """Entries of `{"16": {"19": ...}}`."""
    for layer, heads in layers:
        for head, value in heads:
            where = f"{layer!r}: {head!r}"
            yield _head(file, where, f"{layer}-{head}"), where, value


def _pairs(file: ScoreFile, pairs: Iterable[Any]) -> Iterator[tuple[Head, str, Any]]:
    """Entries of `[[head, score], ...]`; one number may come before its head."""
    for index, pair in enumerate(pairs):
        where = f"entry {index}"
        if not isinstance(pair, list) or len(pair) != 2:
            raise _malformed(
                file, where, "a pair such as [[16, 19], 0.9]", repr(pair)[:60], "Correct it."
            )
        head, value = reversed(pair) if type(pair[0]) in _NUMBERS else pair
        yield _head(file, where, head), where, value


def _head(file: ScoreFile, where: str, name: Any) -> Head:
    """Head named by a text, or by two whole numbers."""
    try:
        if isinstance(name, str):
            return Head.parse(name)
        if isinstance(name, list) and [type(index) for index in name] == [int, int]:
            return Head(*name)
    except ValueError:
        pass
    raise _malformed(
        file, where, f"a head such as '16-19' or [16, 19], with indices up to {MAX_INDEX}",
        repr(name), "Write the layer first, then the head, both counted from 0.",
    )  # fmt: skip


def _numbers(file: ScoreFile, where: str, value: Any) -> Float[np.ndarray, " _"]:
    """One number or a list of them as an array."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise _malformed(file, where, "a score or more", "an empty list", "Remove the head.")
    strange = [item for item in items if type(item) not in _NUMBERS]
    if not strange:
        numbers = _as_array(items)
        if np.isfinite(numbers).all():
            return numbers
        strange = numbers[~np.isfinite(numbers)].tolist()
    found = repr(strange[0])[:60]
    raise _malformed(file, where, "finite numbers", found, "Correct or remove it.")


def _as_array(numbers: list[int | float]) -> Float[np.ndarray, " _"]:
    """The numbers in fp64; infinity where one is too large for it."""
    try:
        return np.array(numbers, dtype=np.float64)
    except OverflowError:
        return np.array([np.inf])


def _malformed(file: ScoreFile, where: str, expected: str, found: str, advice: str) -> ValueError:
    return ValueError(
        f"Expected {expected} in {str(file.path)!r}; found {found[:80]} ({where[:80]}). {advice}"
    )
