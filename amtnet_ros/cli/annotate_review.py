"""`amtnet annotate review`: clips and their boxes in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from amtnet_ros.libraries import library
from amtnet_ros.review.frames import FrameStore
from amtnet_ros.review.reviewed import ReviewedFile


@click.command("review")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any that is free.")
def review(file: Path, port: int) -> None:
    """Look at the clips of FILE (actions.json) in a browser; accept or drop them, and correct their boxes.

    Every change is in FILE at once. Over ssh: ssh -L 8765:localhost:8765 ROBOT, then open the address here. Ctrl-C ends
    it.
    """
    library("werkzeug", "amtnet annotate review")
    from amtnet_ros.review.server import HOST, ReviewApp, listen

    reviewed, frames = ReviewedFile(file), FrameStore()
    try:
        server = listen(ReviewApp(reviewed, frames), port)
        click.echo(f"{file}: {reviewed.inventory()}\nReview at http://{HOST}:{server.port}/ (Ctrl-C ends it)")
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        frames.close()
    click.echo(f"{file}: {reviewed.inventory()}")
