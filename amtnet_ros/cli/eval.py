"""`amtnet eval`: score a model on the videos of a data set, or tubes from a file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import yaml
from rich.console import Console
from rich.progress import track

from amtnet_ros.cli.eval_field import field
from amtnet_ros.cli.eval_persons import persons
from amtnet_ros.command_options import data_root_option, device_option, precision_option
from amtnet_ros.data.annotations import Dataset, spread
from amtnet_ros.data.sources import SOURCES, read_dataset
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.detections import KeptDetections, detect_video, make_kept, open_kept
from amtnet_ros.evaluation.report import as_json, headline, latex_rows, markdown_rows, print_tables
from amtnet_ros.evaluation.results import Evaluation, evaluate_kept, evaluate_tubes
from amtnet_ros.evaluation.tube_file import read_tubes, write_tubes
from amtnet_ros.evaluation.video_map import DEFINITIONS, Definition, tube_nms
from amtnet_ros.tubes import PER_CLASS, LinkerOptions

if TYPE_CHECKING:
    from amtnet_ros.inference.card import ModelCard
    from amtnet_ros.pipeline import Pipeline

SCORE_THRESHOLD, NMS_IOU, MAX_PER_CLASS = 0.01, 0.45, 10
"""Micro-tubes that are kept: as the paper's test does, but 10 of each class, of which the linker takes no more."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def report_options(function: _Function) -> _Function:
    """Options of both forms: what is computed and how it is shown."""
    options = [
        click.option("--definition", type=click.Choice(list(DEFINITIONS)), help="Only this video-mAP; default both."),
        click.option(
            "--tube-nms", type=click.FloatRange(0, 1), help="Suppress tubes over this overlap first (ACT: 0.3)."
        ),
        click.option("--json", "style", flag_value="json", help="One JSON object, with all thresholds and classes."),
        click.option("--markdown", "style", flag_value="markdown", help="Rows of a Markdown table."),
        click.option("--latex", "style", flag_value="latex", help="Rows of a LaTeX table."),
        click.option("--name", help="What the rows of --markdown and --latex call this."),
        click.option("--curves", type=click.Path(path_type=Path), help="Draw precision-recall curves to this PNG."),
        click.option("--curves-at", type=float, default=0.5, show_default=True, help="Overlap of the curves."),
        data_root_option,
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.group("eval", invoke_without_command=True)
@click.option("--model", help="Model folder or name; may be left out with --detections of an earlier run.")
@click.option("--dataset", default="jhmdb21", show_default=True, help="jhmdb21, ucf101_24 or a JSON file.")
@click.option("--split", type=int, help="Split of the data set.")
@click.option("--delta", type=click.IntRange(1), help="Distance of a pair in frames; default the model's.")
@click.option("--flow", help="Flow engine, e.g. dis:fast; default the model's.")
@device_option
@precision_option
@click.option("--record", is_flag=True, help="Write the scores into the model's card, for the precision that ran.")
@click.option("--detections", type=click.Path(path_type=Path), help="Where detections are kept; default runs/eval/….")
@click.option("--limit", type=click.IntRange(1), help="Only so many test videos, evenly spread.")
@click.option("--link", multiple=True, metavar="OPTION=VALUE", help="Option of the linker, e.g. match=iou; repeatable.")
@click.option("--trim", is_flag=True, help="Cut tubes to the frames in which the action goes on (untrimmed video).")
@click.option("--tubes-out", type=click.Path(path_type=Path), help="Also write the tubes to this file.")
@report_options
@click.pass_context
def evaluate(context: click.Context, /, **options: Any) -> None:
    """Score a model on the test videos of a data set, or tubes from a file (amtnet eval tubes).

    Detections are kept: an interrupted run goes on where it stopped, and a second one only links and scores.
    """
    if context.invoked_subcommand is not None:
        return
    source = options["dataset"] + (f":{options['split']}" if options["split"] is not None else "")
    ground_truth = read_dataset(source, options["data_root"])
    ground_truth = replace(ground_truth, test=spread(ground_truth.test, options["limit"]))
    linker = linker_options(options["link"])
    if options["record"] and (options["model"] is None or options["limit"] is not None):
        raise UserError("--record needs --model, and all test videos (no --limit)")
    if options["model"] is not None:
        kept = _run_model(ground_truth, options)
    elif options["detections"] is not None:
        kept = open_kept(options["detections"])
    else:
        raise UserError("give --model, or --detections with a folder of kept ones, or the command `tubes`")
    result, tubes = evaluate_kept(
        ground_truth,
        kept,
        linker,
        definitions(options),
        nms=options["tube_nms"],
        trimmed=options["trim"],
        progress=lambda names: track(names, "linking", console=Console(stderr=True), transient=True),
    )
    if options["tubes_out"] is not None:
        write_tubes(options["tubes_out"], tubes, ground_truth.classes)
    if options["record"]:
        _record(result, ground_truth.name if source.endswith(".json") else source, kept.made_with, options)
    made_with = {**kept.made_with, **{f"linker {name}": value for name, value in linker_values(linker).items()}}
    if options["trim"]:
        made_with["trim"] = "yes"
    show(result, kept.made_with.get("model", kept.folder.name), options, made_with)


evaluate.add_command(field)
evaluate.add_command(persons)


@evaluate.command("tubes")
@click.option("--gt", "source", required=True, help=f"Ground truth: {SOURCES}.")
@click.option("--tubes", "file", required=True, type=click.Path(path_type=Path), help="Tubes as JSON lines.")
@report_options
def score_tubes(source: str, file: Path, data_root: Path, **options: Any) -> None:
    """Score tubes from a file; no model needed.

    A line is {"video": …, "label": name or index, "score": …, "first_frame": 0-based, "boxes": [[x1, y1, x2, y2], …]};
    pixels, 0-based, exclusive maximum, one box a frame.
    """
    ground_truth = read_dataset(source, data_root)
    tubes = read_tubes(file, ground_truth)
    if options["tube_nms"] is not None:
        tubes = tube_nms(tubes, options["tube_nms"])
    show(evaluate_tubes(ground_truth, tubes, definitions(options)), file.stem, options)


@evaluate.command("check")
@click.argument("source")
@click.option("--videos", is_flag=True, help="Also decode every video and compare size and length.")
@data_root_option
def check(source: str, videos: bool, data_root: Path) -> None:
    """Check annotations (SOURCE: as for --gt) and name the first mistake."""
    dataset = read_dataset(source, data_root)
    if videos:
        from amtnet_ros.data.custom import check_videos
        from amtnet_ros.media.video import open_source

        def measure(path: Path) -> tuple[int, int, int]:
            n_frames, size = 0, (0, 0)
            for image in open_source(str(path)):
                n_frames, size = n_frames + 1, (image.shape[1], image.shape[0])
            return *size, n_frames

        check_videos(dataset, measure)
    click.echo(_inventory(dataset))


def _run_model(ground_truth: Dataset, options: dict[str, Any]) -> KeptDetections:
    """Detections of all test videos: those kept from earlier runs, the others made now."""
    from amtnet_ros.inference.card import find_model, read_card
    from amtnet_ros.inference.contract import Selection
    from amtnet_ros.inference.device import choose_device, choose_precision

    card = read_card(find_model(options["model"]))
    if card.actions != ground_truth.classes:
        raise UserError(f"model {card.name} knows {len(card.actions)} classes other than those of {ground_truth.name}")
    if options["flow"] is not None and card.flow is None:
        raise UserError(f"--flow {options['flow']}: model {card.name} has no motion stream")
    delta = options["delta"] or card.delta
    precision = choose_precision(options["precision"], choose_device(options["device"]), card)
    made_with = {
        "model": card.name,
        "digest": card.digest,
        "precision": precision,
        "dataset": ground_truth.name,
        "delta": str(delta),
        "flow": options["flow"] or (card.flow.engine if card.flow is not None else "none"),
        "selection": f"score >= {SCORE_THRESHOLD}, NMS {NMS_IOU}, {MAX_PER_CLASS} a class, vote {Selection().vote_iou}",
    }
    name = f"{card.name}-{card.digest[:8]}-{precision}-{ground_truth.name}-delta{delta}-{made_with['flow']}"
    folder = options["detections"] or Path("runs") / "eval" / re.sub(r"[^\w.-]+", "-", name)
    kept = make_kept(folder, made_with)
    missing = kept.missing(ground_truth)
    if missing:
        pipeline = _make_pipeline(card, options, delta)
        console = Console(stderr=True)
        console.print(f"{card.name} on {pipeline.provider}; detections go to {folder}")
        for video in track(missing, "detecting", console=console):
            annotated = ground_truth.videos[video]
            kept.write(video, detect_video(pipeline, annotated, delta))
        pipeline.close()
    return kept


def _make_pipeline(card: ModelCard, options: dict[str, Any], delta: int) -> Pipeline:
    from amtnet_ros.flow.factory import make_flow
    from amtnet_ros.inference.factory import make_engine
    from amtnet_ros.pipeline import Pipeline, PipelineOptions

    flow = None
    if options["flow"] is not None and card.flow is not None:
        flow = make_flow(options["flow"], card.flow.working_size, options["device"])
    settings = PipelineOptions(
        delta=delta,
        score_threshold=SCORE_THRESHOLD,
        nms_iou=NMS_IOU,
        max_per_class=MAX_PER_CLASS,
        end_at_cuts=False,  # detections are of every frame
    )
    engine = make_engine(options["model"], options["device"], precision=options["precision"])
    return Pipeline(engine, settings, flow)


def _record(result: Evaluation, dataset: str, made_with: Mapping[str, str], options: dict[str, Any]) -> None:
    """The few figures that models are compared by, into the card."""
    from amtnet_ros.deploy.folder import record_accuracy
    from amtnet_ros.inference.card import find_model

    measured = {f"{dataset} delta {made_with['delta']} {name}": value for name, value in headline(result).items()}
    record_accuracy(find_model(options["model"]), measured, int8=made_with["precision"] == "int8")


def linker_options(settings: Sequence[str]) -> LinkerOptions:
    """OPTION=VALUE, … → options of the linker, by default those of the paper's measure, `PER_CLASS`.

    Raises UserError naming the one that is wrong.
    """
    known = {field.name for field in fields(LinkerOptions)}
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or name not in known:
            raise UserError(f"--link {setting}: expected OPTION=VALUE with one of {', '.join(sorted(known))}")
        try:
            values[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"--link {setting}: {value!r} is no value") from error
    return replace(PER_CLASS, **values)


def definitions(options: dict[str, Any]) -> list[Definition]:
    """Those asked for."""
    return [DEFINITIONS[options["definition"]]] if options["definition"] else list(DEFINITIONS.values())


def linker_values(linker: LinkerOptions) -> dict[str, str]:
    """The options that were given another value than `linker_options` gives them."""
    return {
        field.name: str(getattr(linker, field.name))
        for field in fields(linker)
        if getattr(linker, field.name) != getattr(PER_CLASS, field.name)
    }


def show(result: Evaluation, name: str, options: dict[str, Any], made_with: Mapping[str, str] | None = None) -> None:
    """Print an evaluation in the style asked for, and draw its curves.

    name: for rows and the picture, unless --name gives another. made_with: settings, for the record in JSON.
    """
    if options["curves"] is not None:
        from amtnet_ros.evaluation.report import plot_curves

        if options["curves_at"] not in result.video_maps[0].thresholds:
            known = ", ".join(f"{threshold:g}" for threshold in result.video_maps[0].thresholds)
            raise UserError(f"--curves-at {options['curves_at']:g}: scored are {known}")
        plot_curves(result.video_maps, options["curves_at"], options["curves"], options["name"] or name)
    if options["style"] == "json":
        record = {"made_with": dict(made_with)} if made_with else {}
        click.echo(json.dumps({**record, **as_json(result)}, indent=2))
    elif options["style"] == "markdown":
        click.echo(markdown_rows(result, options["name"] or name))
    elif options["style"] == "latex":
        click.echo(latex_rows(result, options["name"] or name))
    else:
        print_tables(result, Console())


def _inventory(dataset: Dataset) -> str:
    videos = dataset.videos.values()
    actions = [instance for video in videos for instance in video.instances]
    return (
        f"{dataset.name}: {len(dataset.classes)} classes, {len(dataset.train)} training and {len(dataset.test)} test "
        f"videos, {len(actions)} actions, {sum(len(instance.frames) for instance in actions)} boxes: no mistakes found"
    )
