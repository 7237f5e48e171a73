"""Does a value have exactly the type its field declares? A bool is not an int, a float is nothing."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from itertools import chain
from typing import Any

import msgspec
from msgspec.structs import astuple

from core.domain.errors import LedgerError

#: For a plain declared type, the types of values that were found to fit it.
_GOOD: dict[Any, set[type]] = {}
_COLUMNS: dict[type, tuple[Any, ...]] = {}
#: For a struct inside a row, the types of all values of sequences of it that were found to fit.
_SHAPES: dict[type, set[tuple[type, ...]]] = {}
MAX_SHAPES = 1_000


def refuse_float(hint: Any, where: str) -> None:
    """Refuse a declared type in which a float could hide.

    Raises
    ------
    LedgerError
        Naming the field.
    """
    if hint in (float, complex, Any, object):
        raise LedgerError(
            "a row kind declares a field that could hold a float",
            f"{where}: {hint}",
            "declare it Decimal, or an integer of the smallest unit",
        )
    for inner in typing.get_args(hint):
        if isinstance(inner, type) or typing.get_origin(inner) is not None:
            refuse_float(inner, where)


def is_plain(hint: Any) -> bool:
    """Whether the type of a value alone decides that it fits (a decimal must be finite besides)."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return all(is_plain(inner) for inner in typing.get_args(hint))
    return isinstance(hint, type) and not (
        typing.get_origin(hint) is not None or issubclass(hint, msgspec.Struct)
    )


def fits(value: Any, hint: Any) -> bool:
    """Whether `value`, and everything in it, is of the declared type."""
    origin = typing.get_origin(hint)
    if origin is tuple:
        inner = typing.get_args(hint)[0]
        if type(value) is not tuple:
            return False
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            return _structs_fit(value, inner)
        return _all_fit(value, inner)
    if origin is dict:
        key, inner = typing.get_args(hint)
        return type(value) is dict and _all_fit(value, key) and _all_fit(value.values(), inner)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, inner) for inner in typing.get_args(hint))
    if hint is Decimal:
        return type(value) is Decimal and value.is_finite()
    if hint is str:
        return isinstance(value, str)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is type(None) or hint is None:
        return value is None
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _structs_fit((value,), hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return type(value) is hint
    return type(value) is hint


def _structs_fit(values: tuple[Any, ...], struct: type[msgspec.Struct]) -> bool:
    """Whether all of `values` are such structs: by the types of all their values at once, seen before or not.

    A verdict holds many checks, and every order of a run has one.
    """
    if not set(map(type, values)) <= {struct}:
        return False
    found = tuple(map(type, chain.from_iterable(map(astuple, values))))
    known = _SHAPES.setdefault(struct, set())
    if found in known:
        return True
    if struct not in _COLUMNS:
        hints = typing.get_type_hints(struct)
        _COLUMNS[struct] = tuple(hints[name] for name in struct.__struct_fields__)
    columns = zip(*map(astuple, values), strict=True)
    if not all(map(_all_fit, columns, _COLUMNS[struct])):
        return False
    if Decimal not in found and all(map(is_plain, _COLUMNS[struct])) and len(known) < MAX_SHAPES:
        known.add(found)
    return True


def _all_fit(values: Iterable[Any], hint: Any) -> bool:
    """Whether every value fits; for a plain type by the set of their types."""
    found = set(map(type, values))
    known = _GOOD.setdefault(hint, set())
    if found <= known:
        return True
    if not all(fits(value, hint) for value in values):
        return False
    if is_plain(hint) and Decimal not in found:
        known |= found
    return True
