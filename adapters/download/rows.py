"""Fields of a raw row as exact integers; a row that cannot be used says why instead of vanishing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from adapters.download.store import StoredRow
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob


class Rejected(Exception):
    """A row that cannot be used.

    Parameters
    ----------
    code : Issue
        Why.
    seen : object
        The offending value.
    """

    def __init__(self, code: Issue, seen: object) -> None:
        super().__init__(code, seen)
        self.code = code
        self.seen = seen


def accepted[T](
    job: IngestJob, rows: Iterable[StoredRow], parse: Callable[[StoredRow], T | None]
) -> list[T]:
    """Return what `parse` makes of the rows; rejected ones go to the job's list of issues.

    A None from `parse` is a row that is not wanted (outside the period) and is passed over.
    """
    out: list[T] = []
    for row in rows:
        job.read(row.file.partition("/")[0], 1)
        try:
            value = parse(row)
        except Rejected as why:
            job.issues.add(
                why.code, Fate.DROPPED, file=row.file, row=row.row, subject=row.key, seen=why.seen
            )
            continue
        if value is not None:
            out.append(value)
    return out


def mapping(row: StoredRow) -> dict[str, Any]:
    """Return the row as an object.

    Raises
    ------
    Rejected
        If it is something else.
    """
    if not isinstance(row.value, dict):
        raise Rejected(Issue.NOT_A_NUMBER, row.value)
    return row.value


def number(value: Any) -> Decimal:
    """Return a finite Decimal of a text or number.

    Raises
    ------
    Rejected
        If it is none.
    """
    if isinstance(value, bool) or value is None:
        raise Rejected(Issue.NOT_A_NUMBER, value)
    try:
        out = Decimal(str(value))
    except InvalidOperation:
        raise Rejected(Issue.NOT_A_NUMBER, value) from None
    if not out.is_finite():
        raise Rejected(Issue.NOT_A_NUMBER, value)
    return out


def exact_ticks(value: Any, precision: int) -> tuple[int, bool]:
    """Return `value` in ticks of ``10 ** -precision``, rounded to the nearest, and whether it was exact."""
    scaled = number(value).scaleb(precision)
    ticks = int(scaled.to_integral_value())
    return ticks, scaled == ticks


def price_ticks(value: Any, precision: int, highest: int | None = None) -> tuple[int, bool]:
    """Return a price in ticks and whether it was exact.

    Raises
    ------
    Rejected
        If it is no number, not positive, or at or above `highest` ticks.
    """
    ticks, exact = exact_ticks(value, precision)
    if ticks <= 0 or (highest is not None and ticks >= highest):
        raise Rejected(Issue.BAD_PRICE, value)
    return ticks, exact


def size_ticks(value: Any, precision: int) -> tuple[int, bool]:
    """Return a size in ticks, rounded down, and whether it was exact.

    Raises
    ------
    Rejected
        If it is no number, or less than one tick.
    """
    scaled = number(value).scaleb(precision)
    ticks = int(scaled)
    if ticks <= 0:
        raise Rejected(Issue.BAD_SIZE, value)
    return ticks, scaled == ticks


class Repairs:
    """Count values that were rounded to the instrument's decimals, and report them once per subject."""

    def __init__(self, job: IngestJob) -> None:
        self._job = job
        self._seen: dict[tuple[str, str], list[Any]] = {}

    def note(self, row: StoredRow, value: Any) -> None:
        """Remember one rounded value."""
        entry = self._seen.setdefault((row.file, row.key), [0, row.row, value])
        entry[0] += 1

    def close(self) -> None:
        """Write what was rounded to the list of issues."""
        for (file, key), (count, first, value) in sorted(self._seen.items()):
            self._job.issues.add(
                Issue.OFF_PRECISION,
                Fate.REPAIRED,
                file=file,
                row=first,
                subject=key,
                seen=value,
                rows=count,
            )
