"""Text from outside, made safe for a terminal: a market title must not move the cursor or paint."""

from __future__ import annotations

from rich.text import Text


def printable(text: str) -> str:
    """Return `text` with control and other unprintable characters replaced."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


def shown(text: str, style: str = "") -> Text:
    """Return `text` as rich text: markup inside it is shown, not obeyed."""
    return Text(printable(text), style=style)


def toned(text: str) -> Text:
    """Return a signed amount in the colour of its sign."""
    style = "green" if text.startswith("+") else "red" if text.startswith("-") else ""
    return Text(text, style=style)


def both_ends(text: str, width: int) -> str:
    """Return `text` cut in its middle: questions of one series begin alike and differ at their end."""
    if len(text) <= width:
        return text
    tail = int(width * 0.55)
    return text[: width - tail - 1] + "…" + text[-tail:]
