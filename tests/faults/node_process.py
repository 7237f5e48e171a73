"""A node that kills itself at the n-th pass of a named point: ``{"point", "nth"}`` (or ``{"disk_full_after_s"}``) beside the node's own argument."""

import json
import os
import resource
import signal
import sys
import threading

from core.domain import faultpoints
from tests.integration import polymarket_node


def no_more_bytes():
    """Let no file of this process grow: what a full disk does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


def main():
    told = json.loads(sys.argv[1])
    name, left = told.get("point", ""), [told.get("nth", 0)]

    def listen(passed):
        if passed == name:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    faultpoints.listen(listen if name else None)
    if told.get("disk_full_after_s"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        threading.Timer(told["disk_full_after_s"], no_more_bytes).start()
    polymarket_node.main()


if __name__ == "__main__":
    main()
