"""COCO with videos, as MMTracking (CocoVID) and TAO have it: JSON with videos, images, annotations, categories."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import AliasChoices, BaseModel, Field, ValidationError

from amtnet_ros.data.actions_file import Action, first_mistake
from amtnet_ros.errors import UserError
from amtnet_ros.files import read_json
from amtnet_ros.formats.actions import Box, ImportedVideo, frame_within, pixels, seen_in
from amtnet_ros.formats.videos import FoundVideo, VideoFolder


class _Category(BaseModel):
    id: int
    name: str


class _Video(BaseModel):
    id: int
    name: str | None = Field(default=None, validation_alias=AliasChoices("file_name", "name"))


class _Image(BaseModel):
    """frame: TAO calls it frame_index."""

    id: int
    video_id: int
    frame: int = Field(validation_alias=AliasChoices("frame_id", "frame_index"))
    file_name: str = ""
    width: int | None = None
    height: int | None = None


class _Annotation(BaseModel):
    """track: CocoVID calls it instance_id, and CVAT has it among the attributes."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float] = Field(min_length=4, max_length=4)
    track: int | None = Field(default=None, validation_alias=AliasChoices("track_id", "instance_id"))
    iscrowd: int = 0
    attributes: dict[str, Any] = {}


class _File(BaseModel):
    videos: list[_Video] = Field(min_length=1)
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_coco(file: Path, videos: VideoFolder, first: int = 0) -> list[ImportedVideo]:
    """Each video of the file; a category is an action, a track a person. Crowds are left out.

    first: the number that the first frame of a video has; 0 in CocoVID. Frames without an image in the file were not
    looked at: an action goes on there. Raises UserError naming the file, the place in it and the first mistake.
    """
    content = read_json(file)
    try:
        coco = _File(**(content if isinstance(content, dict) else {}))
    except ValidationError as error:
        raise UserError(f"{file}: {first_mistake(error)}; COCO with videos has videos, and images of them") from error
    images: dict[int, list[_Image]] = defaultdict(list)
    for image in coco.images:
        images[image.video_id].append(image)
    of_image: dict[int, list[_Annotation]] = {image.id: [] for image in coco.images}
    for annotation in coco.annotations:
        if annotation.image_id not in of_image:
            raise UserError(f"{file}: annotation {annotation.id}: there is no image {annotation.image_id}")
        of_image[annotation.image_id].append(annotation)
    names = {category.id: category.name for category in coco.categories}
    imported = []
    for listed in coco.videos:
        own = images[listed.id]
        called = listed.name or next((str(PurePosixPath(image.file_name).parent) for image in own), "")
        video = videos.find(f"{file}: video {listed.id}", called)
        frames = {_frame(file, image, video, first): of_image[image.id] for image in own}
        imported.append(ImportedVideo(video, _actions(str(file), frames, names, video)))
    return imported


def _frame(file: Path, image: _Image, video: FoundVideo, first: int) -> int:
    where = f"{file}: image {image.id}"
    if (image.width or video.width, image.height or video.height) != (video.width, video.height):
        stated = f"{image.width}x{image.height}"
        raise UserError(f"{where}: of {stated}, but {video.path} is {video.width}x{video.height}")
    return frame_within(f"{where}, counted from {first} (--first)", image.frame - first, video)


def _actions(file: str, frames: dict[int, list[_Annotation]], names: dict[int, str], video: FoundVideo) -> list[Action]:
    """frames: the annotations of each frame that was looked at."""
    seen: dict[tuple[int, str], dict[int, Box]] = defaultdict(dict)
    for frame, listed in frames.items():
        for annotation in listed:
            if annotation.iscrowd:
                continue
            where = f"{file}: annotation {annotation.id}"
            if annotation.category_id not in names:
                raise UserError(f"{where}: there is no category {annotation.category_id}")
            boxes = seen[_track(where, annotation), names[annotation.category_id]]
            if frame in boxes:
                raise UserError(f"{where}: its track is twice in image {annotation.image_id}")
            boxes[frame] = _box(where, annotation, video)
    return [action for (_, label), boxes in seen.items() for action in seen_in(label, boxes, sorted(frames))]


def _track(where: str, annotation: _Annotation) -> int:
    track = annotation.track if annotation.track is not None else annotation.attributes.get("track_id")
    if not isinstance(track, int):
        raise UserError(f"{where}: has no track_id or instance_id, which tells one person from another")
    return track


def _box(where: str, annotation: _Annotation, video: FoundVideo) -> Box:
    x, y, width, height = annotation.bbox
    return pixels(where, (x, y, x + width, y + height), video)
