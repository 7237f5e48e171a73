"""The node's structured log: one JSON object a line, secrets redacted, never on the path of an order.

Order events are read from the ledger once a second, so the log can neither slow an order down nor say anything that
the ledger does not. Once a minute, and whenever trading halts or resumes, a line says how the node is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import IO, Any

import apsw
import msgspec
import structlog
from pydantic import SecretStr

from core.domain.clock import iso_from_ns
from core.domain.errors import LedgerError, MissingData
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection

#: Kinds of rows that become lines; refusals and forecasts can come at every quote and are counted in ``status``.
KINDS = (
    "run.*",
    "order.*",
    "halt",
    "resume",
    "state",
    "feed.state",
    "fault",
    "settlement",
    "position.*",
    "account.*",
    "limits.changed",
    "operator.command",
    "ledger.fault",
)
STATUS_EVERY_S = 60.0
MAX_BYTES = 64 << 20
#: Shorter texts would blank out ordinary words.
MIN_SECRET = 6
HIDDEN = "[redacted]"
#: Keys whose judgement is remembered.
MAX_NAMES = 1_000
_PLAIN = (bool, int, float, type(None))
_ITEMS = (list, tuple, set, frozenset)
_NAMES = re.compile(
    r"secret|password|passphrase|private|signature|authorization|api_?key|key_id|token$|mnemonic|cookie",
    re.IGNORECASE,
)
_PEM = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.S
)


class Redaction:
    """Takes secrets out of anything that is about to be written.

    Parameters
    ----------
    secrets : iterable of SecretStr
        Texts that must never appear, wherever they are.
    """

    def __init__(self, secrets: Iterable[SecretStr] = ()) -> None:
        texts = {s.get_secret_value() for s in secrets}
        lines = {part.strip() for text in texts for part in text.splitlines()}
        words = sorted((t for t in texts | lines if len(t) >= MIN_SECRET), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, words))) if words else None
        self._names: dict[str, tuple[str, bool]] = {}

    def __repr__(self) -> str:
        return "Redaction()"

    def __call__(
        self, logger: Any, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Redact an event (a structlog processor)."""
        return {k: HIDDEN if self._name(k)[1] else self.clean(v) for k, v in event.items()}

    def clean(self, value: Any) -> Any:
        """Return `value` without secrets."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, SecretStr):
            return HIDDEN
        if isinstance(value, Mapping):
            out = {}
            for key, inner in value.items():
                name, secret = self._name(str(key))
                out[name] = HIDDEN if secret else self.clean(inner)
            return out
        if isinstance(value, _ITEMS):
            return [self.clean(v) for v in value]
        return self._text(str(value))

    def _text(self, value: str) -> str:
        text = _PEM.sub(HIDDEN, value) if "-----BEGIN" in value else value
        return self._known.sub(HIDDEN, text) if self._known is not None else text

    def _name(self, key: str) -> tuple[str, bool]:
        """Return a key without secrets, and whether what stands under it is one; names come again with every line."""
        found = self._names.get(key)
        if found is None:
            found = self._text(key), _NAMES.search(key) is not None
            if len(self._names) < MAX_NAMES:
                self._names[key] = found
        return found


def secrets_of(settings: Any) -> list[SecretStr]:
    """Return the secrets of a settings model."""
    values = vars(settings).values() if settings is not None else ()
    return [v for v in values if isinstance(v, SecretStr)]


class NodeLog:
    """JSON lines in ``node.log.jsonl``; the file before it is kept when it grows beyond `MAX_BYTES`.

    Attributes
    ----------
    dropped : int
        Lines that the disk did not take.
    """

    def __init__(
        self,
        home: Path,
        run_id: str,
        settings: Any = None,
        status_every_s: float = STATUS_EVERY_S,
    ) -> None:
        self.path = home / "node.log.jsonl"
        self.run_id, self.dropped, self.status_every_s = run_id, 0, status_every_s
        self._ledger = home / "ledger"
        self._seq = 0
        self._said = 0.0
        self._halted = ""
        self._unreadable = False
        self._redact = Redaction(secrets_of(settings))
        self._open()

    def _open(self) -> None:
        self._file: IO[str] = self.path.open("a", encoding="utf-8")
        self._logger: Any = structlog.wrap_logger(
            structlog.WriteLogger(self._file),
            processors=[
                self._redact,
                structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=False),
            ],
            wrapper_class=structlog.BoundLogger,
            cache_logger_on_first_use=True,
            run_id=self.run_id,
        )

    def say(self, event: str, ts_ns: int, **values: Any) -> None:
        """Write one line; a disk that refuses costs the line, not the node."""
        try:
            self._logger.info(event, at=iso_from_ns(ts_ns), ts_ns=ts_ns, **values)
            if self._file.tell() > MAX_BYTES:
                self._file.close()
                self.path.replace(self.path.with_suffix(".jsonl.1"))
                self._open()
        except (OSError, ValueError):
            self.dropped += 1

    def skip_to(self, seq: int) -> None:
        """Leave out the rows of earlier runs."""
        self._seq = seq

    def follow(self, give_way: Callable[[], None] = lambda: None) -> int:
        """Write the ledger's new rows since the last call; return how many. `give_way` is called before each."""
        lines = 0
        try:
            give_way()
            for row in LedgerReader(self._ledger).rows(
                Selection(kinds=KINDS, first_seq=self._seq + 1)
            ):
                self._seq = row.seq
                body = msgspec.to_builtins(row.decoded(), builtin_types=(), enc_hook=str)
                body = body if isinstance(body, dict) else {"value": body}
                body.pop("config", None)
                self.say(str(row.kind), row.ts_event, seq=row.seq, row=body)
                lines += 1
                give_way()
        except MissingData:
            return lines
        except (LedgerError, apsw.Error) as exc:
            if not self._unreadable:
                self.say("log.ledger_unreadable", time.time_ns(), error=str(exc))
            self._unreadable = True
        else:
            self._unreadable = False
        return lines

    def wants_status(self, monotonic_s: float, halted: str) -> bool:
        """Return whether a status line is due: each minute, and at once when a halt comes or goes."""
        due = not self._said or monotonic_s - self._said >= self.status_every_s
        return due or halted != self._halted

    def status(self, monotonic_s: float, ts_ns: int, status: Any, **more: Any) -> None:
        """Write how the node is."""
        self._said, self._halted = monotonic_s, status.halted
        names = (
            "mode", "venue", "uptime_s", "markets", "feed_age_s", "spot_age_s", "pnl", "link_up", "cash", "equity", "fees",
            "fills", "orders", "refused", "unknown", "halted", "ledger_seq",
        )  # fmt: skip
        values = {n: getattr(status, n) for n in names}
        held = {f"{p.strategy_id} {p.instrument_id}": p.quantity for p in status.positions}
        self.say("status", ts_ns, **values, positions=held, dropped_lines=self.dropped, **more)

    def close(self) -> None:
        """Write the last rows and close the file."""
        self.follow()
        self._file.close()
