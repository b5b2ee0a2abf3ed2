"""Run a pipeline over videos and keep what the network sees."""

from __future__ import annotations

from amtnet_ros.contracts import MicroTubes
from amtnet_ros.data.annotations import AnnotatedVideo
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.detections import VideoDetections
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.video import open_source

SECOND = 1_000_000_000


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
    return VideoDetections(delta, len(pipeline.card.labels), tuple(pairs))
