"""Every error of Beta-Trader, in one tree.

::

    BetaError                      what failed, the value seen, the command that mends it
    ├── UsageError                 exit 2   bad argument, unknown name
    ├── NotRunningError            exit 3   no node behind the command
    ├── ConfigError                exit 4   configuration or credentials
    ├── TimeoutExpired             exit 5   a bounded wait ran out
    ├── GateClosed                 exit 6   a readiness or promotion gate refused
    ├── HaltedError                exit 7   risk halt is active
    ├── LedgerError                exit 8   the ledger cannot be trusted or written
    │   ├── LedgerCorrupt
    │   ├── LedgerTooNew
    │   ├── LedgerLocked
    │   └── LedgerWriteError
    ├── DataError                  exit 1   market data that cannot be used
    │   ├── MissingData
    │   ├── CorruptData
    │   └── OverlappingData
    ├── MarketError                exit 1   a market, price or size that is not valid
    │   └── PriceOffGrid
    ├── FeeError                   exit 1   no fee rule, or a rule we refuse to model
    ├── OrderRefused               exit 1   the gate said no (reason code, value, limit)
    │   └── ApprovalInvalid        forged, expired or reused approval
    ├── StrategyError              exit 1   a strategy raised, or is unknown
    ├── VenueError                 exit 1   a venue answered with an error or not at all
    │   ├── VenueRefused           the venue said no: nothing happened there
    │   └── VenueUncertain         no answer, or none to rely on: it may have happened
    └── SignalError                exit 1   no forecast can be given
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes, the same for every command."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_RUNNING = 3
    CONFIG = 4
    TIMEOUT = 5
    GATE_REFUSED = 6
    HALTED = 7
    LEDGER = 8
    INTERRUPTED = 130


class BetaError(Exception):
    """Base of all our errors: three lines that say what failed, what was seen, what mends it.

    Parameters
    ----------
    what : str
        What failed, as a sentence without a full stop.
    seen : object, optional
        The offending value. Never a secret.
    mend : str, optional
        A command or setting that mends it; without one, the `usual_mend` of the type.
    """

    exit_code: ExitCode = ExitCode.ERROR
    #: What mends every error of the type, where a site knows no better.
    usual_mend: str = ""

    def __init__(self, what: str, seen: object = None, mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.seen = seen
        self.mend = mend or self.usual_mend

    def lines(self) -> list[str]:
        """Return the message as one to three lines."""
        out = [self.what]
        if self.seen is not None:
            out.append(f"seen: {self.seen}")
        if self.mend:
            out.append(f"mend: {self.mend}")
        return out

    def __str__(self) -> str:
        return "; ".join(self.lines())


class UsageError(BetaError):
    """An argument or a name is wrong."""

    exit_code = ExitCode.USAGE


class NotRunningError(BetaError):
    """The command needs a running node and there is none."""

    exit_code = ExitCode.NOT_RUNNING


class ConfigError(BetaError):
    """Configuration or credentials are missing, unknown or contradictory."""

    exit_code = ExitCode.CONFIG


class TimeoutExpired(BetaError):
    """A bounded wait ran out."""

    exit_code = ExitCode.TIMEOUT


class GateClosed(BetaError):
    """A readiness or promotion gate refused to start something."""

    exit_code = ExitCode.GATE_REFUSED


class HaltedError(BetaError):
    """A risk halt is active."""

    exit_code = ExitCode.HALTED


class LedgerError(BetaError):
    """The ledger cannot be read, trusted or written."""

    exit_code = ExitCode.LEDGER
    usual_mend = (
        "the row was not written: correct the code that writes it (BETA_DEBUG=1 shows where)"
    )


class LedgerCorrupt(LedgerError):
    """A ledger row or file does not verify."""

    usual_mend = "beta ledger verify, then beta ledger restore"


class LedgerTooNew(LedgerError):
    """The ledger was written by a newer schema than this code knows."""

    usual_mend = "update beta-trader"


class LedgerLocked(LedgerError):
    """Another process holds the ledger."""

    usual_mend = "stop that process, or name another folder"


class LedgerWriteError(LedgerError):
    """The ledger cannot be written (disk full, I/O error, read-only)."""

    usual_mend = "free disk space, or name a folder that can be written"


class DataError(BetaError):
    """Market data that cannot be used as it is."""


class MissingData(DataError):
    """No data where data was asked for."""


class CorruptData(DataError):
    """A file or row that cannot be decoded or breaks an invariant."""


class OverlappingData(DataError):
    """Data for a period that the catalog already holds."""


class MarketError(BetaError):
    """A market, price, size or state that is not valid."""


class PriceOffGrid(MarketError):
    """A price that the venue's tick grid does not allow."""


class FeeError(BetaError):
    """No fee rule applies, or one applies that we refuse to model."""


class OrderRefused(BetaError):
    """The gate refused an order.

    Parameters
    ----------
    code : str
        Stable reason code, for example ``"COVERED_SELL"``.
    what, seen, mend
        As in `BetaError`.
    """

    def __init__(self, code: str, what: str, seen: object = None, mend: str = "") -> None:
        super().__init__(what, seen, mend)
        self.code = code


class ApprovalInvalid(OrderRefused):
    """An approval is forged, expired, used twice or for another order."""

    usual_mend = "send the intent through Gate.review"


class StrategyError(BetaError):
    """A strategy raised, is unknown or is not fit to run."""


class VenueError(BetaError):
    """A venue answered with an error, or not at all."""


class VenueRefused(VenueError):
    """The venue said no, in so many words: what was asked did not happen.

    Parameters
    ----------
    code : str
        The venue's own code, for example ``"insufficient_balance"``.
    status : int
        HTTP status.

    Attributes
    ----------
    venue_ns : int
        When, by the venue's clock, where it says so (0 = it does not).
    """

    usual_mend = "correct what the venue names and send again; nothing was done there"

    def __init__(
        self, code: str, what: str, status: int = 0, mend: str = "", *, venue_ns: int = 0
    ) -> None:
        super().__init__(what, f"{code} ({status})" if status else code, mend)
        self.code = code
        self.status = status
        self.venue_ns = venue_ns


class VenueUncertain(VenueError):
    """No answer, or none to rely on: what was asked may or may not have happened. Never read as a no."""

    usual_mend = "none needed: what it can cost stays reserved and the venue is asked again (beta ledger tail)"


class SignalError(BetaError):
    """No forecast can be given from this input."""
