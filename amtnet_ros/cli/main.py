"""The command `amtnet`."""

from __future__ import annotations

import sys

from amtnet_ros.errors import UserError
from amtnet_ros.libraries import library


def main() -> None:
    """Run `amtnet`; a UserError becomes one line on stderr and exit code 2."""
    try:
        library("click", "the command amtnet")
        from amtnet_ros.cli.commands import amtnet

        amtnet()
    except UserError as error:
        print(f"amtnet: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
