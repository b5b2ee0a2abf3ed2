"""`amtnet bench [WHAT]`: how fast the parts are; one module for each, imported only when it is called."""

from __future__ import annotations

import click

from amtnet_ros.cli.commands import LazyGroup

BENCHES: dict[str, tuple[str, str]] = {
    "pipeline": ("amtnet_ros.bench.pipeline:bench_pipeline", "Frames a second and milliseconds a stage."),
    "engines": ("amtnet_ros.bench.engines:bench_engines", "Engines side by side, against the published way."),
    "cameras": ("amtnet_ros.bench.cameras:bench_cameras", "How many cameras one engine can serve."),
    "node": (
        "amtnet_ros.bench.node:bench_node",
        "The detector through DDS: from an image's stamp to its tubes.",
    ),
    "transport": ("amtnet_ros.bench.transport:bench_transport", "How many images arrive, by size and way."),
    "soak": ("amtnet_ros.bench.soak:bench_soak", "A day on a robot: everything that goes wrong, and what is left."),
    "eval": ("amtnet_ros.bench.scoring:bench_eval", "Scoring of tubes: the whole UCF-101-24 test set."),
    "tubes": ("amtnet_ros.bench.tubes:bench_tubes", "The linker in a crowd, on a long stream, on noisy truth."),
    "switch": ("amtnet_ros.bench.switch:bench_switch", "How soon a person who does something else now is said to."),
    "teach": ("amtnet_ros.bench.teach:bench_teach", "New actions by few clips: what is named, and what claimed."),
    "archive": (
        "amtnet_ros.bench.archive:bench_archive",
        "Hours of video an hour; searches; what fewer pictures cost.",
    ),
    "flow": ("amtnet_ros.bench.flow:bench_flow", "Optical flow: speed and accuracy of the engines side by side."),
}
DEFAULT = "pipeline"


class BenchGroup(LazyGroup):
    """Where no bench is named, it runs DEFAULT."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = next((arg for arg in args if not arg.startswith("-")), None)
        if named not in self.table and not {"-h", "--help"} & set(args):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


@click.group(cls=BenchGroup, table=BENCHES)
def bench() -> None:
    """Measure how fast the parts are."""
