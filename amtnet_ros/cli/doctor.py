"""`amtnet doctor`: what is installed, which devices work, and whether the models load and agree with their cards."""

from __future__ import annotations

import importlib.util
import platform
import sys
from importlib import metadata

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amtnet_ros import __version__
from amtnet_ros.bench.machine import machine
from amtnet_ros.errors import UserError

# module → (distribution, what it is needed for); the first group is needed to run at all
NEEDED = {
    "numpy": ("numpy", "everything"),
    "cv2": ("opencv-python-headless", "images, DIS flow"),
    "onnxruntime": ("onnxruntime", "running models"),
    "av": ("av", "video files"),
}
OPTIONAL = {
    "rclpy": ("ros-rclpy", "the ROS 2 nodes"),
    "torch": ("torch", "training, the torch engine, Brox and RAFT flow"),
    "onnx": ("onnx", "export"),
    "scipy": ("scipy", "optimal assignment in linking"),
    "matplotlib": ("matplotlib", "curves"),
}


@click.command()
@click.option("--device", default="auto", show_default=True, help="Device to try: auto, cpu, cuda:N or tensorrt:N.")
def doctor(device: str) -> None:
    """Say plainly what would run here, and on what. Exits with 1 if something that is needed does not work."""
    console = Console()
    console.print(f"amtnet_ros {__version__}, Python {platform.python_version()} on {machine()}", highlight=False)
    healthy = _packages(console)
    healthy &= _device(console, device)
    healthy &= _models(console, device)
    console.print(
        "[green]All that is needed works.[/]" if healthy else "[red]Something that is needed does not work.[/]"
    )
    sys.exit(0 if healthy else 1)


def _packages(console: Console) -> bool:
    table = Table("package", "version", "for", title="Installed")
    complete = True
    for needed, group in ((True, NEEDED), (False, OPTIONAL)):
        for module, (distribution, purpose) in group.items():
            there = importlib.util.find_spec(module) is not None
            complete &= there or not needed
            table.add_row(module, _version(distribution) if there else "missing", purpose)
    console.print(table)
    return complete


def _version(distribution: str) -> str:
    names = (distribution, distribution.removesuffix("-headless"), f"{distribution}-gpu")
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "present"


def _device(console: Console, device: str) -> bool:
    from amtnet_ros.device.name import Device
    from amtnet_ros.inference.device import choose_device, int8_instructions, why_not

    table = Table("device", "can be used", title="Devices of ONNX Runtime")
    for kind in ("cpu", "cuda", "tensorrt"):
        reason = why_not(Device(kind))
        table.add_row(kind, "yes" if reason is None else f"no: {reason}")
    console.print(table)
    try:
        chosen = choose_device(device)
    except UserError as error:
        console.print(f"[red]{error}[/]")
        return False
    console.print(f"Models will run on: {chosen.name} ({chosen.provider})", highlight=False)
    instructions = int8_instructions()
    console.print(
        f"int8 on the CPU: used where a model has that form ({instructions})"
        if instructions
        else "int8 on the CPU: not used, the CPU has no instructions for it",
        highlight=False,
    )
    return True


def _models(console: Console, device: str) -> bool:
    from amtnet_ros.inference.card import list_models
    from amtnet_ros.inference.factory import make_engine

    table = Table("model", "runs on", "precision", "actions", "delta", "flow", title="Models that load")
    broken = []
    models = list_models()
    for name, folder in models.items():
        try:
            engine = make_engine(folder, device)
        except UserError as error:
            broken.append(f"{name}: {error}")
            continue
        card = engine.card
        flow = card.flow.engine if card.flow else "none"
        provider = engine.provider.removesuffix("ExecutionProvider")
        table.add_row(name, provider, engine.precision, str(len(card.actions)), str(card.delta), flow)
        engine.close()
    console.print(table if models else "No models in the models folder.")
    for line in broken:
        console.print(f"[red]{escape(line)}[/]", highlight=False)
    return bool(models) and not broken
