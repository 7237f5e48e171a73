"""Text from outside, made safe for a terminal: a market title must not move the cursor or paint."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text


def printable(text: str) -> str:
    """Return `text` with control and other unprintable characters replaced."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


def lines(text: str) -> str:
    """Return `text` of several lines with every line made printable."""
    return "\n".join(map(printable, text.split("\n")))


def inert(value: object) -> str:
    """Return `value` for a place where markup is obeyed: its own is shown."""
    from rich.markup import escape

    return escape(printable(str(value)))


def shown(text: str, style: str = "") -> Text:
    """Return `text` as rich text: markup inside it is shown, not obeyed."""
    from rich.text import Text

    return Text(printable(text), style=style)


def toned(text: str) -> Text:
    """Return a signed amount in the colour of its sign."""
    from rich.text import Text

    style = "green" if text.startswith("+") else "red" if text.startswith("-") else ""
    return Text(text, style=style)


def both_ends(text: str, width: int) -> str:
    """Return `text` cut in its middle: questions of one series begin alike and differ at their end."""
    if len(text) <= width:
        return text
    tail = int(width * 0.55)
    return text[: width - tail - 1] + "…" + text[-tail:]
