"""The table of cases in docs/conformance.md, from the tests themselves: ``python -m tests.conformance.table`` rewrites it."""

import ast
import re
from pathlib import Path

MODULES = ("test_data.py", "test_orders.py", "test_news.py")
VENUES = ("Kalshi", "Polymarket", "paper")
#: What a venue cannot do, and what it does instead; every other cell is "yes".
INSTEAD = {
    ("113", "Polymarket"): "rejected: a FAK that matches nothing is refused",
    ("116", "Polymarket"): "refused `no_amend`: cancel and send again",
    ("117", "Polymarket"): "refused `no_amend`: cancel and send again",
    ("125", "Polymarket"): "cleared; new orders are refused by the gate only",
    ("127", "Kalshi"): "fills are final at once",
    ("127", "paper"): "fills are final at once",
    ("129", "paper"): "knows at once: nothing is lost on the way",
}
WORDS = {"ioc": "IOC", "fok": "FOK", "gtd": "GTD", "venues": "venue's", "makers": "maker's"}
BEGIN, END = "<!-- cases -->", "<!-- end of cases -->"


def cases() -> list[tuple[str, str]]:
    """Return (number, sentence) of every case, in order."""
    found = []
    for name in MODULES:
        tree = ast.parse((Path(__file__).parent / name).read_text())
        for node in tree.body:
            match = isinstance(node, ast.FunctionDef) and re.match(
                r"test_tc_(\d{3})_(.+)", node.name
            )
            if match:
                found.append((match[1], " ".join(WORDS.get(w, w) for w in match[2].split("_"))))
    return found


def table() -> str:
    """Return the Markdown table."""
    rows = ["| Case | | " + " | ".join(VENUES) + " |", "|---|---|" + "---|" * len(VENUES)]
    for number, sentence in cases():
        cells = (INSTEAD.get((number, venue), "yes") for venue in VENUES)
        rows.append(f"| TC-{number} | {sentence} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def rewritten(page: str) -> str:
    """Return the page with a fresh table."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


if __name__ == "__main__":
    path = Path(__file__).parents[2] / "docs" / "conformance.md"
    path.write_text(rewritten(path.read_text()))
