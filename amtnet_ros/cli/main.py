"""The command `amtnet`."""

from __future__ import annotations

import sys

from amtnet_ros.errors import UserError
from amtnet_ros.libraries import library
from amtnet_ros.program import INTERRUPTED, begin, code_of, end_at_once


def main() -> None:
    """Run `amtnet`; a UserError becomes one line on stderr and exit code 2, Ctrl-C exit code 130."""
    begin()
    try:
        code = code_of(_run())
    except UserError as error:
        print(f"amtnet: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        code = INTERRUPTED
    end_at_once()
    sys.exit(code)


def _run() -> int:
    """The exit code of the command that the arguments ask for."""
    click = library("click", "the command amtnet")
    from amtnet_ros.cli.commands import amtnet

    try:
        done = amtnet.main(prog_name="amtnet", standalone_mode=False)
        sys.stdout.flush()
        return done if isinstance(done, int) else 0
    except click.ClickException as error:
        error.show()
        return int(error.exit_code)
    except click.exceptions.Abort:
        return INTERRUPTED


if __name__ == "__main__":
    main()
