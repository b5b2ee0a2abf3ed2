"""One camera of the detector: its images in, its pipeline's thread, its tubes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from amtnet_ros.errors import UserError
from amtnet_ros.inference.contract import ActorEngine, Engine
from amtnet_ros.media.events import ActionEvents
from amtnet_ros.pipeline import Pipeline, PipelineOptions
from amtnet_ros.ros.camera_info import check_pinhole, intrinsics_from_info
from amtnet_ros.ros.depth import DepthInput
from amtnet_ros.ros.inputs import InputTopic
from amtnet_ros.ros.messages import nanoseconds
from amtnet_ros.ros.monitor import Monitor
from amtnet_ros.ros.outputs import Outputs
from amtnet_ros.ros.parameters import Parameters, Settings
from amtnet_ros.ros.places import ActorPlaces, Intrinsics
from amtnet_ros.ros.worker import Done, Step, Worker

Found = TypeVar("Found")

_RECTIFIED = re.compile(r"/([^/]*_)?rect[^/]*$")
"""Topics of images without distortion, as image_pipeline names them: image_rect, image_rect_color …"""


class CameraChannel:
    """What belongs to one camera alone; the node tells all its cameras the same. The listener of its worker.

    name: that of one of several, with which its topics begin (NAME/image, NAME/action_tubes, ~/NAME/debug_image …);
    the only camera's is "", its topics are image, action_tubes and so on.
    """

    def __init__(self, node: LifecycleNode, name: str, parameters: Parameters) -> None:
        self._node, self._parameters, self.name = node, parameters, name
        self._prefix = f"{name}/" if name else ""
        self._log = node.get_logger().get_child(name) if name else node.get_logger()
        self.monitor = Monitor(node, name, self._log, parameters)
        self._engine: Engine | None = None
        self._actors: ActorEngine | None = None
        self._worker: Worker | None = None
        self._outputs: Outputs | None = None
        self._events = ActionEvents(())
        self._inputs: list[InputTopic] = []
        self._depth: DepthInput | None = None
        self._info: CameraInfo | None = None
        self._rectified = False

    # What the node tells

    def configure(self, engine: Engine, actors: ActorEngine | None) -> None:
        """Make a pipeline on these engines, and offer the topics. Takes them over: `shut_down` closes them.

        Raises UserError where the parameters do not fit the model.
        """
        self._engine, self._actors = engine, actors
        settings = self._parameters.settings
        pipeline = Pipeline(engine, settings.options, actors=actors)
        self._outputs = Outputs(self._node, self._prefix, pipeline.labels, settings.style)
        self._events = ActionEvents(pipeline.labels)
        self._worker = Worker(pipeline, self, settings["image_timeout"])
        self.monitor.begin(self._worker)

    def publish_labels(self) -> None:
        """Latched: what the classes are called."""
        if self._outputs is not None:
            self._outputs.publish_labels(self._parameters.settings["score_threshold"])

    def start(self) -> None:
        """Subscribe, and start the worker."""
        if self._worker is None or self._inputs:
            return
        settings = self._parameters.settings
        images = self._subscribe_to_images(compressed=settings["image_transport"] == "compressed")
        base = self._node.resolve_topic_name(f"{self._prefix}image")
        beside = base.rsplit("/", 1)[0]  # where image_transport has it
        info = InputTopic(self._node, CameraInfo, f"{beside}/camera_info", self._on_camera_info, "CameraInfo")
        self._inputs = [images, info]
        topics = [base]
        if (source := settings["depth.source"]) != "none":
            tolerance, refused = settings["depth.tolerance"], self.monitor.on_depth_refused
            self._depth = DepthInput(self._node, self._prefix, source, tolerance, refused)
            self._inputs.append(self._depth.topic)
            topics.append(self._depth.topic.topic)
        self._rectified = any(_RECTIFIED.search(topic) for topic in topics)
        self._worker.start()
        self.monitor.start(images, self._depth)
        self._log.info(f"Looking at {images.topic}")

    def stop(self) -> None:
        """Unsubscribe, so that images cost nothing. The one in progress is not waited for."""
        self.monitor.stop()
        while self._inputs:
            self._inputs.pop().destroy()
        if self._worker is not None:
            self._worker.close()

    def end_tubes(self) -> None:
        """After `stop`: wait for the image in progress, and end all tubes."""
        if self._worker is not None:
            self._worker.stop()
        self._depth = None

    def shut_down(self, timeout: float) -> None:
        """Take the topics back, and free the model. timeout: seconds at most until the last tubes have arrived."""
        if self._outputs is not None:
            self._outputs.destroy(timeout)
        if self._engine is not None:
            self._engine.close()
        if self._actors is not None:
            self._actors.close()
        self._engine = self._actors = self._outputs = self._worker = self.monitor.worker = None

    def reset(self) -> None:
        """End all tubes and begin a new session."""
        if self._worker is not None:
            self._worker.reset()

    @property
    def session(self) -> str:
        """The session's id; "" while it is not configured."""
        return str(self._worker.pipeline.session) if self._worker is not None else ""

    def set_options(self, options: PipelineOptions) -> None:
        """From the next image on. Raises UserError, changing nothing, if they do not fit the model."""
        if self._worker is not None:
            self._worker.pipeline.configure(options)

    def apply(self, settings: Settings) -> None:
        """How the debug image is drawn, and for how long images may stay away, from now on."""
        if self._worker is not None:
            self._worker.image_timeout = settings["image_timeout"]
        if self._outputs is not None:
            self._outputs.set_style(settings.style)

    # What comes in

    def _subscribe_to_images(self, compressed: bool) -> InputTopic:
        name = f"{self._prefix}image"
        if not compressed:
            return InputTopic(self._node, Image, name, self._on_image, "image")
        topic = f"{self._node.resolve_topic_name(name)}/compressed"  # beside the raw one, wherever that is remapped to
        return InputTopic(self._node, CompressedImage, topic, self._on_image, "image", name)

    def _on_image(self, message: Image | CompressedImage) -> None:
        stamp = nanoseconds(message.header.stamp)
        age = self._seconds_since(stamp)
        self.monitor.on_image(age if stamp > 0 else None)
        if self._worker is not None:
            self._worker.submit(message, age)

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._info = message

    # What the worker tells

    @property
    def wants_images(self) -> bool:
        """Whether somebody looks at the debug image."""
        return self._outputs is not None and self._outputs.wants_images

    def on_step(self, step: Step) -> None:
        """Find its tubes' places in space, publish it, and log which actions begin and end."""
        if self._outputs is not None:
            intrinsics, places = self._in_space(step)
            self._outputs.publish(step, intrinsics, places)
            self.monitor.on_step(step, self._seconds_since(step.update.stamp))
            for event in self._events.add(step.update):
                self._log.info(str(event))

    def on_done(self, done: Done) -> None:
        """Tell how long an image took."""
        self.monitor.on_done(done)
        if self._outputs is not None:
            self._outputs.publish_latency(done, self._seconds_since(nanoseconds(done.header.stamp)))

    def on_refused(self, error: UserError) -> None:
        """Tell that an image cannot be used."""
        self.monitor.on_refused(error)

    def on_defect(self, error: Exception) -> None:
        """Tell of what should never happen."""
        self.monitor.on_defect(error)

    def _in_space(self, step: Step) -> tuple[Intrinsics | None, ActorPlaces | None]:
        """The camera's intrinsics, and where the actors are. What goes wrong here costs the places, never the tubes."""
        intrinsics = self._tried(lambda: self._intrinsics(step))
        return intrinsics, self._tried(lambda: self._places(step, intrinsics))

    def _intrinsics(self, step: Step) -> Intrinsics | None:
        info = self._info
        return None if info is None else intrinsics_from_info(info, step.update.image_size, self._rectified)

    def _places(self, step: Step, intrinsics: Intrinsics | None) -> ActorPlaces | None:
        if (depth := self._depth) is None:
            return None
        if depth.needs_intrinsics and self._info is not None and not self._rectified:
            check_pinhole(self._info)
        places = depth.places(step.update, intrinsics)
        readable = intrinsics is not None or not depth.needs_intrinsics
        self.monitor.on_depth(depth.distance(step.update.stamp), places is not None, readable)
        return places

    def _tried(self, attempt: Callable[[], Found | None]) -> Found | None:
        """What an attempt finds; None where it fails, of which the monitor is told."""
        try:
            return attempt()
        except UserError as error:
            self.monitor.on_depth_refused(error)
        except Exception as error:
            self.monitor.on_defect(error)
        return None

    def _seconds_since(self, stamp: int) -> float:
        return float(self._node.get_clock().now().nanoseconds - stamp) / 1e9
