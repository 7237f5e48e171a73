"""Row kinds: a name, a version, a type, the checks that keep floats out, and upcasters for old rows."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import Any, ClassVar

import msgspec

from core.domain.errors import LedgerCorrupt, LedgerError, LedgerTooNew

_finite = Decimal.is_finite
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class Payload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every row payload. Fields are str, int, bool, Decimal, None, tuples, string maps.

    A released payload never changes: a new field means a new version and an upcaster.
    """

    KIND: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1


@dataclass(slots=True)
class KindSpec:
    """Everything known about one row kind.

    Attributes
    ----------
    name, version : str, int
        ``tag`` is ``name@version`` and is what the row stores.
    upcasters : dict
        From version ``v`` to ``v + 1``, on plain JSON values.
    """

    name: str
    version: int
    payload_type: type[Payload]
    tag: str
    upcasters: dict[int, Upcaster] = field(default_factory=dict)
    _hints: dict[str, Any] = field(default_factory=dict)
    _known: set[tuple[type, ...]] = field(default_factory=set)
    _decimals: Callable[[Any], tuple[Any, ...]] | None = None
    _maybe: Callable[[Any], tuple[Any, ...]] | None = None
    _nested: tuple[str, ...] = ()

    def check(self, payload: Payload) -> None:
        """Refuse a payload whose values are not of the declared types, or not finite.

        A float in a Decimal field would be encoded without complaint and would not replay, so types
        are checked at run time. The tuple of field types is checked once and remembered.

        Raises
        ------
        LedgerError
            Naming kind, field and value.
        """
        values = msgspec.structs.astuple(payload)
        signature = tuple(map(type, values))
        if signature not in self._known:
            for (name, hint), value in zip(self._hints.items(), values, strict=True):
                if not _fits(value, hint):
                    raise LedgerError(
                        f"row {self.name}: field {name} has a value of the wrong type", repr(value)
                    )
            self._known.add(signature)
        if self._decimals is not None and not all(map(_finite, self._decimals(payload))):
            raise LedgerError(f"row {self.name}: a number is not finite", str(payload))
        if self._maybe is not None:
            for number in self._maybe(payload):
                if number is not None and not number.is_finite():
                    raise LedgerError(f"row {self.name}: a number is not finite", str(number))
        for name in self._nested:
            if not _fits(getattr(payload, name), self._hints[name]):
                raise LedgerError(
                    f"row {self.name}: field {name} has a value of the wrong type",
                    repr(getattr(payload, name)),
                )


_BY_TYPE: dict[type, KindSpec] = {}
_BY_NAME: dict[str, KindSpec] = {}


def kind[P: type[Payload]](name: str, version: int = 1) -> Callable[[P], P]:
    """Class decorator: register a payload type under ``name@version``.

    Raises
    ------
    LedgerError
        If the name is taken, or a field could hold a float.
    """

    def register(cls: P) -> P:
        if name in _BY_NAME:
            raise LedgerError("two row kinds share a name", name)
        cls.KIND, cls.VERSION = name, version
        hints = {k: v for k, v in typing.get_type_hints(cls).items() if k in cls.__struct_fields__}
        hints = {k: hints[k] for k in cls.__struct_fields__}
        for field_name, hint in hints.items():
            _refuse_float(hint, f"{name}.{field_name}")
        spec = KindSpec(name, version, cls, f"{name}@{version}")
        spec._hints = hints
        spec._decimals = _getter([k for k, v in hints.items() if v is Decimal])
        spec._maybe = _getter([k for k, v in hints.items() if v == Decimal | None])
        spec._nested = tuple(k for k, v in hints.items() if typing.get_origin(v) in (tuple, dict))
        _BY_TYPE[cls] = _BY_NAME[name] = spec
        return cls

    return register


def upcaster(name: str, from_version: int) -> Callable[[Upcaster], Upcaster]:
    """Register the function that turns a row of ``name@from_version`` into the next version."""

    def register(function: Upcaster) -> Upcaster:
        _BY_NAME[name].upcasters[from_version] = function
        return function

    return register


def spec_of(payload: Payload) -> KindSpec:
    """Return the spec of a payload's type; LedgerError if it was never registered."""
    try:
        return _BY_TYPE[type(payload)]
    except KeyError:
        raise LedgerError("not a registered row kind", type(payload).__name__) from None


def kinds() -> tuple[KindSpec, ...]:
    """Return every registered kind, by name."""
    return tuple(_BY_NAME[name] for name in sorted(_BY_NAME))


def decode(tag: str, data: bytes) -> Payload:
    """Return the payload of a stored row in its current version.

    Raises
    ------
    LedgerTooNew
        If the kind or its version is unknown to this code.
    LedgerCorrupt
        If the bytes are not a payload of that kind.
    """
    name, _, version_text = tag.rpartition("@")
    spec = _BY_NAME.get(name)
    if spec is None or not version_text.isdigit() or int(version_text) > spec.version:
        raise LedgerTooNew(
            "a row is of a kind that this version does not know", tag, "update beta-trader"
        )
    version = int(version_text)
    missing = [v for v in range(version, spec.version) if v not in spec.upcasters]
    if missing:
        raise LedgerTooNew(f"no upcaster from {name}@{missing[0]}", tag)
    try:
        if version == spec.version:
            return msgspec.json.decode(data, type=spec.payload_type)
        plain = msgspec.json.decode(data)
        for old in range(version, spec.version):
            plain = spec.upcasters[old](plain)
        return msgspec.convert(plain, spec.payload_type)
    except (msgspec.MsgspecError, ArithmeticError, LookupError, TypeError, ValueError) as exc:
        raise LedgerCorrupt("a row payload does not decode", f"{tag}: {exc}") from exc


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]] | None:
    """Return a getter that always gives a tuple, or None when there is nothing to get."""
    if not names:
        return None
    if len(names) > 1:
        return attrgetter(*names)
    one = attrgetter(names[0])
    return lambda payload: (one(payload),)


def _refuse_float(hint: Any, where: str) -> None:
    """Refuse a declared type in which a float could hide."""
    if hint in (float, complex, Any, object):
        raise LedgerError("a row kind declares a field that could hold a float", f"{where}: {hint}")
    for inner in typing.get_args(hint):
        if isinstance(inner, type) or typing.get_origin(inner) is not None:
            _refuse_float(inner, where)


def _fits(value: Any, hint: Any) -> bool:
    """Whether `value` is exactly of the declared type (a bool is not an int, a float is nothing)."""
    origin = typing.get_origin(hint)
    if origin is tuple:
        inner = typing.get_args(hint)[0]
        return type(value) is tuple and all(_fits(v, inner) for v in value)
    if origin is dict:
        key, inner = typing.get_args(hint)
        return type(value) is dict and all(
            _fits(k, key) and _fits(v, inner) for k, v in value.items()
        )
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, inner) for inner in typing.get_args(hint))
    if hint is type(None) or hint is None:
        return value is None
    if hint is Decimal:
        return type(value) is Decimal and value.is_finite()
    if hint is str:
        return isinstance(value, str)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(hint, type) and issubclass(hint, (msgspec.Struct, Enum)):
        return type(value) is hint and (
            not isinstance(value, msgspec.Struct)
            or all(_fits(getattr(value, k), v) for k, v in _struct_hints(hint).items())
        )
    return type(value) is hint


_STRUCT_HINTS: dict[type, dict[str, Any]] = {}


def _struct_hints(struct: type) -> dict[str, Any]:
    """Return the field types of a nested struct, worked out once."""
    if struct not in _STRUCT_HINTS:
        hints = typing.get_type_hints(struct)
        _STRUCT_HINTS[struct] = {k: hints[k] for k in struct.__struct_fields__}  # type: ignore[attr-defined]
    return _STRUCT_HINTS[struct]
