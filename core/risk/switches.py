"""What the kill switches of all nodes of this machine say together: for what moves money beside a node's own gate."""

from __future__ import annotations

from pathlib import Path

from core.risk.state_file import CORRUPT, OPERATOR, RiskFile
from core.risk.states import SEVERITY, TradingState


def trading_state(runs: Path, risk: Path | None = None) -> TradingState:
    """Return the worst of any live node under a folder, and of the operator's word to any node.

    Parameters
    ----------
    runs : Path
        Folder of the nodes' folders (``<mode>/<venue>``); the operator's own state lies beside it.
    risk : Path, optional
        One more folder of risk state.
    """
    found = [TradingState.RUNNING]
    own = [runs.parent / "risk", *([risk] if risk is not None else [])]
    for folder in (*runs.glob("*/*/risk"), *own):
        state = RiskFile(folder).read()
        if folder in own or folder.parent.parent.name == "live":
            found.append(state.trading)
        else:
            found += [h.state for source, h in state.holds.items() if source in (OPERATOR, CORRUPT)]
    return max(found, key=SEVERITY.__getitem__)
