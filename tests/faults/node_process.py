"""A node that kills itself at the n-th pass of a named point: ``{"point", "nth"}`` beside the node's own argument."""

import json
import os
import signal
import sys

from core.domain import faultpoints
from tests.integration import polymarket_node


def main():
    told = json.loads(sys.argv[1])
    name, left = told.get("point", ""), [told.get("nth", 0)]

    def listen(passed):
        if passed == name:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    faultpoints.listen(listen if name else None)
    polymarket_node.main()


if __name__ == "__main__":
    main()
