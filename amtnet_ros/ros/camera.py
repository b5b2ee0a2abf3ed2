"""One camera of the detector: its images in, its pipeline's thread, its tubes out."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from amtnet_ros.inference.contract import Engine
from amtnet_ros.pipeline import Pipeline, PipelineOptions
from amtnet_ros.ros.depth import DepthInput
from amtnet_ros.ros.messages import nanoseconds
from amtnet_ros.ros.monitor import Monitor
from amtnet_ros.ros.outputs import Outputs
from amtnet_ros.ros.parameters import Parameters, Settings
from amtnet_ros.ros.qos import NEWEST_IMAGE, SubscriptionEventCallbacks
from amtnet_ros.ros.worker import Step, Worker


class Camera:
    """What belongs to one camera alone; the node tells all its cameras the same.

    name: that of one of several, with which its topics begin (NAME/image, NAME/action_tubes, ~/NAME/debug_image …);
    the only camera's is "", its topics are image, action_tubes and so on.
    """

    def __init__(self, node: LifecycleNode, name: str, parameters: Parameters) -> None:
        self._node, self._parameters, self.name = node, parameters, name
        self._prefix = f"{name}/" if name else ""
        self._log = node.get_logger().get_child(name) if name else node.get_logger()
        self.monitor = Monitor(node, name, self._log, parameters)
        self._engine: Engine | None = None
        self._worker: Worker | None = None
        self._outputs: Outputs | None = None
        self._inputs: list[Subscription[Any]] = []

    # What the node tells

    def configure(self, engine: Engine) -> None:
        """Make a pipeline on this engine, and offer the topics. Takes the engine over: `free` closes it.

        Raises UserError where the parameters do not fit the model.
        """
        self._engine = engine
        settings = self._parameters.settings
        pipeline = Pipeline(engine, settings.options)
        outputs = self._outputs = Outputs(self._node, self._prefix, pipeline.card.labels, settings.style)
        self._worker = Worker(
            pipeline,
            on_step=self._on_step,
            on_looked=self._on_looked,
            on_refused=self.monitor.on_refused,
            on_defect=self.monitor.on_defect,
            keep_images=lambda: outputs.wants_images,
        )
        self.monitor.begin(self._worker)

    def publish_labels(self) -> None:
        """Latched: what the classes are called."""
        if self._outputs is not None:
            self._outputs.publish_labels(self._parameters.settings["score_threshold"])

    def look(self) -> None:
        """Subscribe, and start the worker."""
        if self._worker is None or self._inputs:
            return
        settings = self._parameters.settings
        images = self._subscribe_to_images(compressed=settings["image_transport"] == "compressed")
        info_topic = self._image_topic.rsplit("/", 1)[0] + "/camera_info"  # beside the image, as image_transport has it
        info = self._node.create_subscription(CameraInfo, info_topic, self._on_camera_info, NEWEST_IMAGE)
        self._inputs = [images, info]
        self._look_for_depth(settings["depth.source"], settings["depth.tolerance"])
        self._worker.start()
        self.monitor.look(images, f"{self._prefix}image")
        self._log.info(f"Looking at {images.topic_name}")

    def look_away(self) -> None:
        """Unsubscribe, so that images cost nothing. The one in progress is not waited for."""
        self.monitor.look_away()
        while self._inputs:
            self._node.destroy_subscription(self._inputs.pop())
        if self._worker is not None:
            self._worker.close()

    def end_tubes(self) -> None:
        """After `look_away`: wait for the image in progress, and end all tubes."""
        if self._worker is not None:
            self._worker.stop()
        if self._outputs is not None:
            self._outputs.depth = None

    def free(self, patience: float) -> None:
        """Take the topics back, and free the model. patience: seconds at most until the last tubes have arrived."""
        if self._outputs is not None:
            self._outputs.destroy(patience)
        if self._engine is not None:
            self._engine.close()
        self._engine = self._outputs = self._worker = self.monitor.worker = None

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
        """How the debug image is drawn from now on."""
        if self._outputs is not None:
            self._outputs.set_style(settings.style)

    # Images, and what comes of them

    @property
    def _image_topic(self) -> str:
        return self._node.resolve_topic_name(f"{self._prefix}image")

    def _subscribe_to_images(self, compressed: bool) -> Subscription[Any]:
        return self._node.create_subscription(
            CompressedImage if compressed else Image,
            f"{self._image_topic}/compressed" if compressed else self._image_topic,
            self._on_image,
            NEWEST_IMAGE,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self.monitor.on_incompatible_qos),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def _look_for_depth(self, source: str, tolerance: float) -> None:
        if self._outputs is not None and source != "none":
            self._outputs.depth = DepthInput(self._node, self._log, self._prefix, source, tolerance)
            self._inputs.append(self._outputs.depth.subscription)

    def _on_image(self, message: Image | CompressedImage) -> None:
        age = self._seconds_since(nanoseconds(message.header.stamp))
        self.monitor.on_image(age)
        if self._worker is not None:
            self._worker.submit(message, age)

    def _on_camera_info(self, message: CameraInfo) -> None:
        if self._outputs is not None:
            self._outputs.camera_info = message

    def _on_step(self, step: Step) -> None:
        """In the worker's thread, or in the one that ended the tubes."""
        if self._outputs is not None:
            self._outputs.publish(step)
            self.monitor.on_step(step, self._seconds_since(step.update.stamp))

    def _on_looked(self, header: Header, latency: dict[str, float]) -> None:
        """In the worker's thread, once all that came of an image is published."""
        self.monitor.on_looked(latency)
        if self._outputs is not None:
            self._outputs.publish_latency(header, latency, self._seconds_since(nanoseconds(header.stamp)))

    def _seconds_since(self, stamp: int) -> float:
        return float(self._node.get_clock().now().nanoseconds - stamp) / 1e9
