"""Every row kind. A released kind never changes: a new field is a new version with an upcaster.

Money, prices, sizes and probabilities are Decimal; times are integer nanoseconds UTC; ids are the
engine's own strings. Text that came from outside (news, model answers) is stored verbatim.
"""

from core.ledger.kinds.control import (
    Fault,
    FeedState,
    Halted,
    LimitsChanged,
    OperatorCommand,
    Resumed,
    StateChanged,
)
from core.ledger.kinds.decisions import Check, ForecastMade, ProposalMade, VerdictGiven
from core.ledger.kinds.knowledge import (
    ClockRead,
    DataManifest,
    DataSnapshot,
    IntelItem,
    LlmCall,
    RandomDraw,
)
from core.ledger.kinds.money import (
    AccountState,
    FeeCharged,
    FeeKind,
    PositionsMerged,
    PositionsSplit,
    Settled,
    Transferred,
)
from core.ledger.kinds.orders import (
    FillVoided,
    OrderAbsent,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderIntended,
    OrderModified,
    OrderRejected,
    OrderSubmitted,
    OrderUnknown,
)
from core.ledger.kinds.runs import (
    FileDigest,
    Genesis,
    LedgerFault,
    RunEnded,
    RunMode,
    RunOutcome,
    RunStarted,
    StrategyVersion,
)

__all__ = [
    "AccountState",
    "Check",
    "ClockRead",
    "DataManifest",
    "DataSnapshot",
    "Fault",
    "FeeCharged",
    "FeeKind",
    "FeedState",
    "FileDigest",
    "FillVoided",
    "ForecastMade",
    "Genesis",
    "Halted",
    "IntelItem",
    "LedgerFault",
    "LimitsChanged",
    "LlmCall",
    "OperatorCommand",
    "OrderAbsent",
    "OrderAccepted",
    "OrderCanceled",
    "OrderDenied",
    "OrderExpired",
    "OrderFilled",
    "OrderIntended",
    "OrderModified",
    "OrderRejected",
    "OrderSubmitted",
    "OrderUnknown",
    "PositionsMerged",
    "PositionsSplit",
    "ProposalMade",
    "RandomDraw",
    "Resumed",
    "RunEnded",
    "RunMode",
    "RunOutcome",
    "RunStarted",
    "Settled",
    "StateChanged",
    "StrategyVersion",
    "Transferred",
    "VerdictGiven",
]
