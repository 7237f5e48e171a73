"""``python -m console.cli``: the same as `beta`."""

from console.cli.app import main

main()
