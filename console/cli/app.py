"""`beta`: one command line for everything. Commands load when called, so that `beta --help` stays fast."""

from __future__ import annotations

import gc
import importlib
import os
import sys

#: name -> (module that holds ``app``, one-line help). A command's module is imported only when it runs.
COMMANDS: dict[str, tuple[str, str]] = {
    "backtest": ("console.cli.backtest", "Run a strategy on recorded or sample data."),
    "paper": ("console.cli.paper", "Trade a live or replayed market with paper money."),
    "live": ("console.cli.live", "Trade with real money, behind a readiness gate."),
    "data": ("console.cli.data", "Sample, ingest, fetch, list, verify and clean catalogs."),
    "fees": ("console.cli.fees", "What a trade costs, exactly, and by which dated rule."),
    "new": ("console.cli.new", "Scaffold a strategy that runs."),
    "parity": (
        "console.cli.parity",
        "Compare a paper or live run with its backtest, order by order.",
    ),
    "ledger": ("console.cli.ledger", "Verify, tail, show, export, back up and restore the ledger."),
    "replay": ("console.cli.replay", "Re-run a recorded run and name the first row that differs."),
    "tax": ("console.cli.tax", "CSV of realised profit and loss by year (FIFO)."),
    "faults": ("console.cli.faults", "Break a fake venue on purpose and compare the books after."),
    "risk": ("console.cli.risk", "Show limits and halts; halt, reduce, resume, liquidate."),
    "tokens": (
        "console.cli.tokens",
        "The contract call that splits, merges, redeems or converts Polymarket tokens.",
    ),
    "train": ("console.cli.train", "Train, calibrate and measure forecasters."),
    "bundle": ("console.cli.bundle", "Build, sign, verify, install and roll back model bundles."),
}


#: Commands that do one thing and end. While they load, each of a hundred collections would walk everything
#: loaded so far and find nothing: a tenth of their start. A node that runs for weeks keeps the default.
FINITE = frozenset({"backtest", "data", "fees", "parity", "replay"})

#: Commands whose files (ledger, account, risk state, logs, recordings) are their owner's alone.
PRIVATE = frozenset({"paper", "live", "risk"})


def run(name: str, args: list[str]) -> None:
    """Import the typer app of command `name` and run it with `args`; exit non-zero if it says so."""
    if name in FINITE:
        gc.set_threshold(100_000, 20, 100)
    if name in PRIVATE:
        os.umask(0o077)
    import typer.main

    command = typer.main.get_command(importlib.import_module(COMMANDS[name][0]).app)
    code = command.main(args=args, prog_name=f"beta {name}", standalone_mode=False)
    if isinstance(code, int) and code:
        if code == 130:  # typer turns Ctrl-C into a silent exit
            print("interrupted", file=sys.stderr)
        sys.exit(code)


def main() -> None:
    """Run `beta`: typed errors become three lines on stderr and the documented exit code."""
    from core.domain.errors import BetaError, ExitCode

    # Looking for plugins of pydantic reads every installed package: a tenth of the start-up time.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    try:
        if len(sys.argv) > 1 and sys.argv[1] in COMMANDS:
            run(sys.argv[1], sys.argv[2:])  # straight on: the group costs 50 ms to import
        else:
            from console.cli.group import cli

            cli.main(prog_name="beta", standalone_mode=False)
    except BetaError as exc:
        if os.environ.get("BETA_DEBUG"):
            raise
        from console.terminal.text import lines

        told = "\n".join(["error: " + exc.what, *("  " + line for line in exc.lines()[1:])])
        print(lines(told), file=sys.stderr)
        sys.exit(int(exc.exit_code))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(int(ExitCode.INTERRUPTED))
    except BrokenPipeError:  # whoever read our output went away (`beta ... | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(int(ExitCode.ERROR))
    except OSError as exc:  # a path that cannot be made, a full disk: not worth a traceback
        if os.environ.get("BETA_DEBUG"):
            raise
        place = f": {exc.filename}" if exc.filename else ""
        print(
            f"error: the system refused a file, a folder or a connection\n  seen: {exc.strerror or exc}{place}"
            "\n  mend: name a place that exists and can be written, or free it; BETA_DEBUG=1 shows the traceback",
            file=sys.stderr,
        )
        sys.exit(int(ExitCode.ERROR))
    except Exception as exc:  # click and typer each carry their own exception classes
        if type(exc).__name__ == "Abort":
            print("interrupted", file=sys.stderr)
            sys.exit(int(ExitCode.INTERRUPTED))
        if hasattr(exc, "show") and hasattr(exc, "exit_code"):
            exc.show()
            sys.exit(exc.exit_code)
        raise


if __name__ == "__main__":
    main()
