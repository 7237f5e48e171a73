"""`beta`: one command line for everything. Commands load when called, so that `beta --help` stays fast."""

from __future__ import annotations

import importlib
import os
import sys

import click

#: name -> (module that holds ``app``, one-line help). A command's module is imported only when it runs.
COMMANDS: dict[str, tuple[str, str]] = {
    "backtest": ("console.cli.backtest", "Run a strategy on recorded or sample data."),
    "data": ("console.cli.data", "Sample, ingest, fetch, list, verify and clean catalogs."),
    "fees": ("console.cli.fees", "What a trade costs, exactly, and by which dated rule."),
    "new": ("console.cli.new", "Scaffold a strategy that runs."),
    "ledger": ("console.cli.ledger", "Verify, tail, show, export, back up and restore the ledger."),
    "replay": ("console.cli.replay", "Re-run a recorded run and name the first row that differs."),
    "tax": ("console.cli.tax", "CSV of realised profit and loss by year (FIFO)."),
    "risk": ("console.cli.risk", "Show limits and halts; halt, reduce, resume, liquidate."),
    "train": ("console.cli.train", "Train, calibrate and measure forecasters."),
    "bundle": ("console.cli.bundle", "Build, sign, verify, install and roll back model bundles."),
}


class LazyGroup(click.Group):
    """A group that lists commands from a table and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in table order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a light command that hands its arguments to the real one."""
        if cmd_name not in COMMANDS:
            return None
        return click.Command(
            cmd_name,
            short_help=COMMANDS[cmd_name][1],
            add_help_option=False,
            context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
            params=[click.Argument(["args"], nargs=-1, type=click.UNPROCESSED)],
            callback=lambda args: run(cmd_name, list(args)),
        )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command when one is mistyped."""
        if args[0] not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else " Try 'beta --help'."
            ctx.fail(f"No such command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)


def run(name: str, args: list[str]) -> None:
    """Import the typer app of command `name` and run it with `args`; exit non-zero if it says so."""
    import typer.main

    command = typer.main.get_command(importlib.import_module(COMMANDS[name][0]).app)
    code = command.main(args=args, prog_name=f"beta {name}", standalone_mode=False)
    if isinstance(code, int) and code:
        sys.exit(code)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok, 1 error, 2 usage, 3 not running, 4 config, 5 timeout, 6 gate refused, "
    "7 halted, 8 ledger corrupt or replay diverged, 130 interrupted.",
)
@click.version_option(package_name="beta-trader", prog_name="beta")
def cli() -> None:
    """Beta-Trader: AI proposes, deterministic rules dispose, and everything replays."""


def main() -> None:
    """Run `beta`: typed errors become three lines on stderr and the documented exit code."""
    from core.domain.errors import BetaError, ExitCode

    try:
        cli.main(prog_name="beta", standalone_mode=False)
    except BetaError as exc:
        if os.environ.get("BETA_DEBUG"):
            raise
        print(
            "\n".join(["error: " + exc.what, *("  " + line for line in exc.lines()[1:])]),
            file=sys.stderr,
        )
        sys.exit(int(exc.exit_code))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(int(ExitCode.INTERRUPTED))
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
