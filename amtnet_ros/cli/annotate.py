"""`amtnet annotate`: boxes for your own actions."""

from __future__ import annotations

import click

from amtnet_ros.cli.annotate_folder import of_folder
from amtnet_ros.cli.annotate_import import import_
from amtnet_ros.cli.annotate_review import review


class _FolderOrCommand(click.Group):
    """What is no command's name is a folder of clips."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *self.get_help_option_names(ctx)}:
            args = ["folder", *args]
        return super().parse_args(ctx, args)


@click.group("annotate", cls=_FolderOrCommand)
def annotate() -> None:
    """Boxes for your own actions: `amtnet annotate FOLDER -o actions.json` finds the people in a folder of clips."""


annotate.add_command(of_folder)
annotate.add_command(import_)
annotate.add_command(review)
