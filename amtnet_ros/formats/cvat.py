"""CVAT for video 1.1: an XML file of tracks. https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/"""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.etree import ElementTree

from amtnet_ros.errors import UserError
from amtnet_ros.formats.actions import ImportedVideo, Key, between_keys, frame_within, pixels
from amtnet_ros.formats.videos import FoundVideo, VideoFolder

_NOTHING = ("", "__undefined__")
"""Values of an attribute that say that the person does nothing."""


def read_cvat(file: Path, videos: VideoFolder, attribute: str | None = None) -> list[ImportedVideo]:
    """The tracks of one task or job. Frames are those of the video, whatever step and start the task has.

    A track's label is the action; with `attribute`, the value of this attribute is, which may change on the way. A box
    that is `outside` ends what goes on; between key frames boxes are interpolated; `occluded` ones count as any.
    Raises UserError naming the file, the track and the frame of the first mistake.
    """
    root = _parsed(file)
    source = root.find("meta//source")
    if root.find("meta/project") is not None:
        raise UserError(f"{file}: of a whole project; export each of its tasks by itself")
    if root.find("image") is not None or source is None or not source.text:
        raise UserError(f"{file}: not of a video; export the task as 'CVAT for video 1.1'")
    video = videos.find(str(file), source.text)
    _check_size(file, root, video)
    actions = []
    for track in root.iter("track"):
        where = f"{file}: track {track.get('id')} ({track.get('label')})"
        keys = _keys(where, track, video, attribute)
        if keys:
            actions += between_keys(keys, keys[-1].frame)
    return [ImportedVideo(video, actions)]


def _parsed(file: Path) -> ElementTree.Element:
    if zipfile.is_zipfile(file):
        raise UserError(f"{file}: is a ZIP file; unpack it, and give the annotations.xml in it")
    try:
        root = ElementTree.parse(file).getroot()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from error
    except ElementTree.ParseError as error:
        raise UserError(f"{file}, line {error.position[0]}: not XML ({error}); is the file whole?") from error
    if root.tag != "annotations":
        raise UserError(f"{file}: begins with <{root.tag}>, where CVAT writes <annotations>")
    return root


def _check_size(file: Path, root: ElementTree.Element, video: FoundVideo) -> None:
    stated = [root.findtext(f"meta//original_size/{side}") for side in ("width", "height")]
    actual = [str(video.width), str(video.height)]
    if None not in stated and stated != actual:
        raise UserError(f"{file}: of a video of {'x'.join(map(str, stated))}, but {video.path} is {'x'.join(actual)}")


def _keys(where: str, track: ElementTree.Element, video: FoundVideo, attribute: str | None) -> list[Key]:
    keys: list[Key] = []
    for box in track.iter("box"):
        key = _key(where, track, box, video, attribute)
        if keys and key.frame <= keys[-1].frame:
            raise UserError(f"{where}: frame {key.frame} does not come after {keys[-1].frame}")
        keys.append(key)
    shapes = {element.tag for element in track} - {"box"}
    if shapes:
        raise UserError(f"{where}: is a track of <{shapes.pop()}>; only boxes can be imported")
    return keys


def _key(
    where: str, track: ElementTree.Element, box: ElementTree.Element, video: FoundVideo, attribute: str | None
) -> Key:
    frame = int(_number(where, box, "frame"))
    where = f"{where}, frame {frame}"
    if box.get("outside") == "1":  # CVAT ends a track with such a box, at times one frame past the video
        return Key(frame, (0.0, 0.0, 0.0, 0.0), None)
    if float(box.get("rotation", "0")) % 360:
        raise UserError(f"{where}: the box is rotated; only upright boxes can be imported")
    frame_within(where, frame, video)
    x1, y1, x2, y2 = (_number(where, box, name) for name in ("xtl", "ytl", "xbr", "ybr"))
    label = track.get("label", "")
    if attribute is not None:
        label = _attribute(where, box, attribute)
    return Key(frame, pixels(where, (x1, y1, x2, y2), video), None if label in _NOTHING else label)


def _attribute(where: str, box: ElementTree.Element, name: str) -> str:
    values = {element.get("name"): (element.text or "").strip() for element in box.iter("attribute")}
    if name not in values:
        known = ", ".join(str(known) for known in values) or "none"
        raise UserError(f"{where}: no attribute {name!r}; it has: {known}")
    return values[name]


def _number(where: str, box: ElementTree.Element, name: str) -> float:
    try:
        return float(box.attrib[name])
    except (KeyError, ValueError):
        raise UserError(f"{where}: {name}={box.get(name)!r} is not a number") from None
