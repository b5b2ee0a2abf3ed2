"""A folder of kept detections, one file for each video, and what they were made with; and how a model makes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from amtnet_ros.contracts import MicroTubes
from amtnet_ros.data.annotations import AnnotatedVideo, Dataset
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.detections import (
    VideoDetections,
    detections_file,
    read_detections,
    write_detections,
)
from amtnet_ros.files import write_whole
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import Pipeline

SECOND = 1_000_000_000
_MANIFEST = "made_with.json"


@dataclass(frozen=True, slots=True)
class KeptDetections:
    """Detections of the videos of one data set, by one model with one setting.

    made_with: name → text of all that the detections depend on: model, data set, delta, flow.
    """

    folder: Path
    made_with: Mapping[str, str]

    def missing(self, dataset: Dataset) -> list[str]:
        """Test videos without detections, in the order of the data set."""
        return [name for name in dataset.test if not detections_file(self.folder, name).is_file()]

    def read(self, video: str) -> VideoDetections:
        """Raises UserError if they are missing or damaged."""
        return read_detections(detections_file(self.folder, video))

    def write(self, video: str, detections: VideoDetections) -> None:
        """The file appears whole or not at all, so an interrupted run goes on where it stopped."""
        write_detections(detections_file(self.folder, video), detections)


def open_kept(folder: Path) -> KeptDetections:
    """Open what is there. Raises UserError if there is nothing."""
    manifest = folder / _MANIFEST
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{folder}: no kept detections here; run `amtnet eval --model …` first") from error
    except ValueError as error:
        raise UserError(f"{manifest}: not JSON ({error}); delete {folder} and run the model again") from error
    if not isinstance(content, dict):
        raise UserError(f"{manifest}: expected a JSON object; delete {folder} and run the model again")
    return KeptDetections(folder, {str(key): str(value) for key, value in content.items()})


def make_kept(folder: Path, made_with: Mapping[str, str]) -> KeptDetections:
    """Open a folder for the detections of this setting, new or begun earlier.

    Raises UserError if it holds detections made with anything else: mixed, they would be scored as one.
    """
    manifest = folder / _MANIFEST
    if manifest.exists():
        kept = open_kept(folder)
        for key in made_with.keys() | kept.made_with.keys():
            if made_with.get(key) != kept.made_with.get(key):
                raise UserError(
                    f"{folder}: holds detections with {key} {kept.made_with.get(key)}, now it is {made_with.get(key)}; "
                    "choose another --detections folder, or delete this one"
                )
        return kept
    write_whole(manifest, json.dumps(dict(made_with), indent=2) + "\n", parents=True)
    return KeptDetections(folder, dict(made_with))


def detect_video(pipeline: Pipeline, video: AnnotatedVideo, delta: int) -> VideoDetections:
    """Pass all frames of a video through a pipeline; returns the micro-tubes of every pair, before linking.

    delta: that of the pipeline, for the record. The frames get stamps at the model's nominal rate: in a data set,
    frames count, not seconds. Raises UserError if the video cannot be read or has another size than its annotations.
    """
    if video.path is None:
        raise UserError(f"video {video.name!r}: only its annotations are known; a model needs the video itself")
    pairs: list[MicroTubes] = []
    pipeline.reset()
    pipeline.on_micro_tubes = pairs.append
    try:
        for index, image in enumerate(open_source(str(video.path))):
            if (image.shape[1], image.shape[0]) != video.size:
                raise UserError(
                    f"{video.path}: frame {index} is {image.shape[1]}x{image.shape[0]}, annotated is "
                    f"{video.size[0]}x{video.size[1]}"
                )
            pipeline.push(round(index * SECOND / pipeline.card.rate), image)
        pipeline.finish()
    finally:
        pipeline.on_micro_tubes = None
    return VideoDetections(delta, len(pipeline.card.actions), tuple(pairs))
