"""Settings of a venue from plain data: what is wrong with them is said by name, with the value unless it is a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from core.domain.errors import ConfigError

#: Kinds of errors whose value belongs to no field: what was meant may have been a secret.
NAMELESS = ("extra_forbidden", "missing")


def checked[M: BaseModel](model: type[M], plain: Mapping[str, Any], venue: str, page: str) -> M:
    """Return settings.

    Parameters
    ----------
    venue, page : str
        Name for the message, and the page of the docs that lists the settings.

    Raises
    ------
    ConfigError
        For the first one that is unknown or not valid.
    """
    try:
        return model(**plain)
    except ValidationError as exc:
        first = exc.errors()[0]
    where = ".".join(str(p) for p in first["loc"])
    raise ConfigError(
        f"{venue} setting {where}: {first['msg']}", _seen(model, first), f"see {page}"
    )


def _seen(model: type[BaseModel], error: Mapping[str, Any]) -> object:
    """Return the value that was refused; None where it may be secret."""
    name = str(error["loc"][0]) if error["loc"] else ""
    field = model.model_fields.get(name)
    if field is None or error["type"] in NAMELESS or "Secret" in str(field.annotation):
        return None
    return error["input"]
