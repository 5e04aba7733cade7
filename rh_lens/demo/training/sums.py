"""Sums in steps so small that few have to be known."""


def sum_steps(first: int, sign: str, second: int) -> tuple[str, int]:
    """A sum in steps, first the tens of the second number, then its ones; and its result.

    The ones are first added to, or taken from, a number below 20: `59 + 6` is `9 + 6 = 15.` and
    `59 + 6 = 65.`
    """
    steps, value = [], first
    for part in (second // 10 * 10, second % 10):
        small = small_number(value, sign, part)
        numbers = [value] if part >= 10 or small == value else [small, value]
        if part:
            steps += [f"{n} {sign} {part} = {_result(n, sign, part)}." for n in numbers]
            value = _result(value, sign, part)
    return " ".join(steps), value


def small_number(first: int, sign: str, ones: int) -> int:
    """The number below 20 that stands for the first one: its ones, with a ten if one is needed."""
    small = first % 10
    return small + 10 if sign == "-" and small < ones else small


def _result(first: int, sign: str, second: int) -> int:
    return first + second if sign == "+" else first - second
