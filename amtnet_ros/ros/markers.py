"""Action tubes as RViz markers: boxes on the image plane, one metre before the camera, and the way of each in space."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from amtnet_ros.contracts import OTHER, Float32, Tube, TubeState, TubeUpdate
from amtnet_ros.media.drawing import GREY, colour_of, name_of
from amtnet_ros.ros.messages import pose_of, size_of
from amtnet_ros.ros.places import ActorPlace, ActorPlaces, Intrinsics
from amtnet_ros.tube_boxes import newest_box

_FIELD_OF_VIEW = 1.05  # radians, horizontal; assumed while no CameraInfo says better
_LINE = 0.006  # metres
_LETTERS = 0.05  # metres
_TRAIL = 300  # places of a tube's way that are drawn, the newest
_TRAIL_LINE = 0.03  # metres
_LIFETIME = Duration(sec=1)  # should the detector die, its boxes go


class Plane:
    """The image plane one metre before the camera, in its optical frame (x right, y down, z forward)."""

    def __init__(self, width: int, height: int, intrinsics: Intrinsics | None) -> None:
        """intrinsics: None where the camera's are not known; a usual field of view stands in."""
        focal = width / _FIELD_OF_VIEW
        self._intrinsics = intrinsics or Intrinsics(focal, focal, width / 2, height / 2)

    def point(self, x: float, y: float) -> Point:
        """Where the pixel position lies, in metres."""
        camera = self._intrinsics
        return Point(x=(x - camera.cx) / camera.fx, y=(y - camera.cy) / camera.fy, z=1.0)


class MarkerPainter:
    """Markers of the newest boxes. Each message deletes those of the message before.

    Who does none of the known actions is thin and grey, and has no score.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._trails: dict[int, deque[Point]] = {}
        self._frame = ""

    def draw(self, update: TubeUpdate, header: Header, intrinsics: Intrinsics | None) -> MarkerArray:
        """All markers of this step; the first deletes those of the step before."""
        plane = Plane(*update.image_size, intrinsics)
        markers = [Marker(header=header, action=Marker.DELETEALL)]
        for tube in update.tubes:
            box = newest_box(tube, update.stamp)
            if tube.state != TubeState.ENDED and box is not None:
                markers += [self._outline(tube, box, plane, header), self._caption(tube, box, plane, header)]
        return MarkerArray(markers=markers)

    def in_space(self, update: TubeUpdate, places: ActorPlaces, header: Header) -> list[Marker]:
        """The tubes' places as see-through boxes, and the way that each has come, as a line.

        header: with the places' frame. The ways are those that were seen in that frame: of a camera that moves, they
        are the persons' ways relative to it.
        """
        if places.frame_id != self._frame:
            self._frame, self._trails = places.frame_id, {}
        alive = {tube.id for tube in update.tubes if tube.state != TubeState.ENDED}
        self._trails = {number: trail for number, trail in self._trails.items() if number in alive}
        markers = []
        for tube in update.tubes:
            if (place := places.by_tube.get(tube.id)) is not None:
                markers.append(self._cube(tube, place, header))
                self._trails.setdefault(tube.id, deque(maxlen=_TRAIL)).append(markers[-1].pose.position)
            if (trail := self._trails.get(tube.id)) is not None and len(trail) > 1:
                markers.append(self._trail(tube, trail, header))
        return markers

    def _cube(self, tube: Tube, place: ActorPlace, header: Header) -> Marker:
        marker = self._marker(tube, header, "action_places", Marker.CUBE)
        marker.pose, marker.scale = pose_of(place), size_of(place)
        marker.color.a = 0.4
        return marker

    def _trail(self, tube: Tube, trail: Collection[Point], header: Header) -> Marker:
        marker = self._marker(tube, header, "action_trails", Marker.LINE_STRIP)
        marker.scale.x = _TRAIL_LINE
        marker.points = list(trail)
        return marker

    def _acts(self, tube: Tube) -> bool:
        return self._labels[tube.label] != OTHER

    def _outline(self, tube: Tube, box: Float32, plane: Plane, header: Header) -> Marker:
        x1, y1, x2, y2 = box.tolist()
        marker = self._marker(tube, header, "action_boxes", Marker.LINE_STRIP)
        marker.scale.x = _LINE if tube.state == TubeState.ACTIVE and self._acts(tube) else _LINE / 2
        marker.points = [plane.point(x, y) for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1))]
        return marker

    def _caption(self, tube: Tube, box: Float32, plane: Plane, header: Header) -> Marker:
        marker = self._marker(tube, header, "action_captions", Marker.TEXT_VIEW_FACING)
        marker.pose.position = plane.point(float(box[0] + box[2]) / 2, float(box[1]))
        marker.scale.z = _LETTERS
        marker.text = name_of(tube, self._labels)
        return marker

    def _marker(self, tube: Tube, header: Header, namespace: str, kind: int) -> Marker:
        red, green, blue = (channel / 255 for channel in (colour_of(tube.id) if self._acts(tube) else GREY))
        marker = Marker(header=header, ns=namespace, id=tube.id & 0x7FFFFFFF, type=kind, action=Marker.ADD)
        marker.pose.orientation.w = 1.0
        marker.lifetime = _LIFETIME
        marker.color = ColorRGBA(r=red, g=green, b=blue, a=1.0)
        return marker
