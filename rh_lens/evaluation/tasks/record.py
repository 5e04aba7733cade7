"""One record of a data file: its fields, asked for by name and type."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from rh_lens.checks import found_as, shown
from rh_lens.evaluation.tasks.item import TaskItem


@dataclass(frozen=True)
class Record:
    """One record and where it stands, such as `'dev.json', line 3`.

    Args:
        values: Its fields.
        where: Said in every message about it.
    """

    values: Mapping[str, Any]
    where: str

    def has(self, *names: str) -> bool:
        """Whether one of these fields is there and not null."""
        return any(self.values.get(name) is not None for name in names)

    def raw(self, *names: str) -> Any:
        """The first of these fields that is there and not null.

        Raises:
            ValueError: None is.
        """
        for name in names:
            if self.values.get(name) is not None:
                return self.values[name]
        raise ValueError(
            f"Expected the field {' or '.join(names)} in {self.where}; found "
            f"{shown(sorted(map(str, self.values)))}. Add it, or rename the one that is meant."
        )

    def text(self, *names: str, default: str | None = None) -> str:
        """The first of these fields, which is a text or a whole number.

        Raises:
            ValueError: It is missing, and there is no default; or it is no text.
        """
        if default is not None and not self.has(*names):
            return default
        value = self.raw(*names)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise self._wrong(names[0], "a text", value)
        return value

    def texts(self, *names: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """The first of these fields: texts or numbers in a list, or a single one; each once.

        Raises:
            ValueError: It is missing, and there is no default; or it holds something else.
        """
        if default is not None and not self.has(*names):
            return default
        value = self.raw(*names)
        values = value if isinstance(value, list | tuple) else [value]
        for one in values:
            if not isinstance(one, str | int | float) or isinstance(one, bool):
                raise self._wrong(names[0], "a list of texts", value)
        texts = [str(one).strip() for one in values]
        if not all(texts):
            raise self._wrong(names[0], "a list of texts that are not blank", value)
        return tuple(dict.fromkeys(texts))

    def objects(self, *names: str) -> list["Record"]:
        """The first of these fields, which is a list of objects.

        Raises:
            ValueError: It is missing, or no such list.
        """
        value = self.raw(*names)
        if not isinstance(value, list | tuple) or not all(isinstance(o, Mapping) for o in value):
            raise self._wrong(names[0], "a list of objects", value)
        return [Record(one, f"{self.where}, {names[0]} {at}") for at, one in enumerate(value)]

    def flag(self, name: str, default: bool) -> bool:
        """A field that is true or false.

        Raises:
            ValueError: It is something else.
        """
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def item(self, **fields: Any) -> tuple[TaskItem, str]:
        """An item of these fields, and where it stands.

        Raises:
            ValueError: They make none; the message says where they are from.
        """
        try:
            return TaskItem(**fields), self.where
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Expected an item in {self.where}; found a mistake. {error}"
            ) from error

    def _wrong(self, name: str, wanted: str, value: Any) -> ValueError:
        return ValueError(
            f"Expected {name} in {self.where} to be {wanted}; found {found_as(value)}. Write it so."
        )


Placed: TypeAlias = tuple[TaskItem, str]
"""An item and where it stands."""
