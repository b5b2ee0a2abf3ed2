"""`amtnet train`: one YAML experiment, trained or resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from amtnet_ros.command_options import data_root_option
from amtnet_ros.files import cache_folder
from amtnet_ros.libraries import missing


@click.command()
@click.option(
    "--config", required=True, type=click.Path(path_type=Path), help="The experiment, e.g. config/train/smoke.yaml."
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Run folder; default runs/NAME. An unfinished run there goes on.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Decoded frames and flow; may be shared by runs. Default: training/ in $AMTNET_CACHE or ~/.cache/amtnet_ros.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--allow-changes", is_flag=True, help="Go on with a run although its experiment was another.")
@data_root_option
@click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")
def train(
    config: Path,
    out: Path | None,
    cache: Path | None,
    device: str,
    allow_changes: bool,
    data_root: Path,
    overrides: tuple[str, ...],
) -> None:
    """Train a network as a YAML file says; SECTION.KEY=VALUE changes single keys of it.

    \b
    amtnet train --config config/train/smoke.yaml
    amtnet train --config config/train/light_rgb.yaml optimiser.batch_size=2 data.split=2
    amtnet train --config my.yaml data.dataset=custom data.root=my_actions.json
    torchrun --nproc-per-node 4 -m amtnet_ros.cli.main train --config config/train/paper_sum.yaml

    A run that was stopped (Ctrl-C, kill -9, power) goes on by the same command, to the same weights as an unbroken one.
    The run folder holds checkpoint.pt (for amtnet export), experiment.json, environment.json, log.jsonl, curves.png,
    samples.png (look at it first) and tensorboard/. docs/training.md says more.
    """
    from amtnet_ros.training.config import Experiment, make_experiment, read_content

    content = read_content(config, overrides)
    try:
        if content.get("task") == "actor":
            from amtnet_ros.training.actor_config import ActorExperiment
            from amtnet_ros.training.actor_trainer import ActorTrainer

            actor = make_experiment(ActorExperiment, content, config)
            folder = out or Path("runs") / actor.name
            trainer: Any = ActorTrainer(actor, folder, data_root, allow_changes)
        else:
            from amtnet_ros.training.trainer import Trainer

            experiment = make_experiment(Experiment, content, config)
            folder = out or Path("runs") / experiment.name
            trainer = Trainer(experiment, folder, data_root, device, allow_changes)
    except ImportError as error:
        raise missing(error, "training") from error
    if trainer.run(cache or cache_folder() / "training"):
        click.echo(f"done: {folder}")
    else:
        click.echo(f"stopped: {folder}; the same command goes on")
