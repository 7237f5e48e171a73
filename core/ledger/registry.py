"""Row kinds: a name, a version, a type, the checks that keep floats out, and upcasters for old rows."""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from operator import itemgetter
from typing import Any, ClassVar

import msgspec
from msgspec.structs import astuple

from core.domain.errors import LedgerCorrupt, LedgerError, LedgerTooNew
from core.ledger.fieldtypes import fits, is_plain, refuse_float

Numbers = Callable[[tuple[Any, ...]], tuple[Decimal, ...]]
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class Payload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
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
    _known: dict[tuple[type, ...], Numbers] = field(default_factory=dict)
    _nested: tuple[str, ...] = ()

    def check(self, payload: Payload) -> None:
        """Refuse a payload whose values are not of the declared types, or not finite.

        A float in a Decimal field would be encoded without complaint and would not replay, so types
        are checked at run time: field by field for a combination of types never seen before, and by
        looking the combination up after that.

        Raises
        ------
        LedgerError
            Naming kind, field and value.
        """
        values = astuple(payload)
        signature = tuple(map(type, values))
        numbers = self._known.get(signature)
        if numbers is None:
            for (name, hint), value in zip(self._hints.items(), values, strict=True):
                if not fits(value, hint):
                    raise self._wrong(name, value)
            numbers = self._known[signature] = _numbers(signature)
        for number in numbers(values):
            if not number.is_finite():
                raise LedgerError(
                    f"row {self.name}: a number is not finite", str(number), "give a finite number"
                )
        for name in self._nested:
            if not fits(getattr(payload, name), self._hints[name]):
                raise self._wrong(name, getattr(payload, name))

    def _wrong(self, name: str, value: object) -> LedgerError:
        """Return the error for a value of another type than declared."""
        return LedgerError(
            f"row {self.name}: field {name} has a value of the wrong type",
            repr(value),
            "give the type that the row kind declares",
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
            raise LedgerError("two row kinds share a name", name, "give one of them another name")
        cls.KIND, cls.VERSION = name, version
        hints = {k: v for k, v in typing.get_type_hints(cls).items() if k in cls.__struct_fields__}
        hints = {k: hints[k] for k in cls.__struct_fields__}
        for field_name, hint in hints.items():
            refuse_float(hint, f"{name}.{field_name}")
        spec = KindSpec(name, version, cls, f"{name}@{version}")
        spec._hints = hints
        spec._nested = tuple(k for k, v in hints.items() if not is_plain(v))
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
        raise LedgerError(
            "not a registered row kind",
            type(payload).__name__,
            "decorate its class with @kind(NAME)",
        ) from None


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
        raise LedgerTooNew(
            f"no upcaster from {name}@{missing[0]}",
            tag,
            f"register one: @upcaster({name!r}, {missing[0]})",
        )
    try:
        if version == spec.version:
            return msgspec.json.decode(data, type=spec.payload_type)
        plain = msgspec.json.decode(data)
        for old in range(version, spec.version):
            plain = spec.upcasters[old](plain)
        return msgspec.convert(plain, spec.payload_type)
    except (msgspec.MsgspecError, ArithmeticError, LookupError, TypeError, ValueError) as exc:
        raise LedgerCorrupt("a row payload does not decode", f"{tag}: {exc}") from exc


def _numbers(signature: tuple[type, ...]) -> Numbers:
    """Return what takes the decimals out of a payload's values."""
    at = [i for i, kind_of in enumerate(signature) if kind_of is Decimal]
    if len(at) > 1:
        return itemgetter(*at)
    return lambda values: tuple(values[i] for i in at)
