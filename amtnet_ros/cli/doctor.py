"""`amtnet doctor`: what is wrong with this installation, and what to do; which devices work; do the models load.

On a robot: `ros2 run amtnet_ros amtnet doctor`. It needs no library that may be missing, click excepted.
"""

from __future__ import annotations

import platform
import sys
import textwrap

import click

from amtnet_ros import __version__
from amtnet_ros.bench.machine import machine
from amtnet_ros.cli.checks import CHECKS, Finding
from amtnet_ros.errors import UserError

WIDTH = 80


@click.command()
@click.option("--device", default="auto", show_default=True, help="Device to try: auto, cpu, cuda:N or tensorrt:N.")
def doctor(device: str) -> None:
    """Say plainly what would run here, on what, and how to mend what does not. Exits with 1 if something is wrong."""
    click.echo("\n".join(_wrapped(f"amtnet_ros {__version__}, Python {platform.python_version()} on {machine()}", "")))
    findings: list[Finding] = []
    for title, check in CHECKS.items():
        click.secho(f"\n{title}", bold=True)
        for finding in check():
            _show(finding)
            findings.append(finding)
    unusable = {finding.subject for finding in findings if finding.wrong} & {"numpy", "cv2", "onnxruntime"}
    for title, check_with in (("Devices", _devices), ("Models", _models)):
        click.secho(f"\n{title}", bold=True)
        if unusable:
            click.echo(f"  not tried without {', '.join(sorted(unusable))}")
            continue
        for finding in check_with(device):
            _show(finding)
            findings.append(finding)
    wrong = [finding for finding in findings if finding.wrong]
    verdict = f"{len(wrong)} of these are wrong: {', '.join(finding.subject for finding in wrong)}"
    click.echo("\n" + (verdict if wrong else "All that is needed works."))
    sys.exit(1 if wrong else 0)


def _show(finding: Finding) -> None:
    mark = "WRONG " if finding.wrong else ""
    for number, line in enumerate(_wrapped(f"{finding.subject}: {mark}{finding.says}", "  ")):
        click.echo(line.replace(mark, click.style(mark, fg="red"), 1) if mark and number == 0 else line)
    if finding.remedy:
        click.echo(f"      remedy: {finding.remedy}")  # in one piece, to be copied


def _wrapped(text: str, indent: str) -> list[str]:
    """In lines of 80 columns; a long word, as a path is, stays whole."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _devices(device: str) -> list[Finding]:
    from amtnet_ros.device.name import Device
    from amtnet_ros.inference.device import choose_device, int8_instructions, why_not

    findings = [Finding(kind, why_not(Device(kind)) or "can be used") for kind in ("cpu", "cuda", "tensorrt")]
    try:
        chosen = choose_device(device)
    except UserError as error:
        return [*findings, Finding(device, str(error), wrong=True)]
    instructions = int8_instructions()
    int8 = (
        f"used on the CPU where a model has that form ({instructions})"
        if instructions
        else "not used on the CPU, which has no instructions for it"
    )
    return [*findings, Finding("Models will run on", f"{chosen.name} ({chosen.provider})"), Finding("int8", int8)]


def _models(device: str) -> list[Finding]:
    from amtnet_ros.inference.card import list_models
    from amtnet_ros.inference.factory import make_engine

    findings = []
    for name, folder in list_models().items():
        try:
            engine = make_engine(folder, device)
        except UserError as error:
            findings.append(Finding(name, str(error), wrong=True))
            continue
        card = engine.card
        flow = card.flow.engine if card.flow else "no flow"
        facts = f"{len(card.named_actions)} actions, delta {card.delta}, {flow}, {engine.provider}, {engine.precision}"
        findings.append(Finding(name, f"loads, agrees with its card: {facts}"))
        engine.close()
    return findings or [Finding("models", "none is installed", wrong=True, remedy="build the package again")]
