"""The group behind `beta --help`: lists commands without importing them, names the nearest when mistyped."""

from __future__ import annotations

import click

from console.cli.app import COMMANDS, run


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


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok, 1 error, 2 usage, 3 not running, 4 config, 5 timeout, 6 gate refused, "
    "7 halted, 8 ledger corrupt or replay diverged, 130 interrupted.",
)
@click.version_option(package_name="beta-trader", prog_name="beta")
def cli() -> None:
    """Beta-Trader: AI proposes, deterministic rules dispose, and everything replays."""
