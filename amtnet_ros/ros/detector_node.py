"""Executable `detector`: the lifecycle node that turns a camera's images into action tubes."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

from amtnet_ros.errors import UserError
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.ros.depth import DepthInput
from amtnet_ros.ros.messages import nanoseconds
from amtnet_ros.ros.monitor import Monitor, on_cpu
from amtnet_ros.ros.outputs import Outputs
from amtnet_ros.ros.parameters import Parameters, Settings
from amtnet_ros.ros.process import ros, run, spin
from amtnet_ros.ros.qos import NEWEST_IMAGE
from amtnet_ros.ros.worker import Step, Worker

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class DetectorNode(LifecycleNode):
    """Images in, action tubes out; docs/ros.md describes topics, parameters, services and states.

    Configured it has the model loaded, active it looks. Inference runs in the worker's thread; the callbacks here only
    hand over.
    """

    def __init__(self) -> None:
        super().__init__("detector")
        self._config = Parameters(self, check=self._check, apply=self._apply)
        self._monitor = Monitor(self, self._config)
        self._worker: Worker | None = None
        self._outputs: Outputs | None = None
        self._inputs: list[Subscription[Any]] = []
        self._enabled = True
        self._active = False
        self._finalized = False
        self.create_service(Trigger, "~/reset", self._on_reset)
        self.create_service(SetBool, "~/set_enabled", self._on_set_enabled)

    def autostart(self) -> None:
        """Configure and activate, if the parameter says so."""
        if self._config.settings["autostart"] and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def end(self) -> None:
        """Shut down in good order, whatever the state."""
        if not self._finalized:
            self.trigger_shutdown()

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm the model; on a failure the reason is logged and the node stays unconfigured."""
        if reason := self._why_not(self._configure):
            self._free()
            self._monitor.failure = reason
            self.get_logger().error(f"Cannot be configured: {reason}")
            return FAILURE
        self._monitor.situation = "inactive"
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to look; on a failure the reason is logged and the node stays inactive."""
        result = super().on_activate(state)
        self._active = True
        if reason := self._why_not(self._activate):
            self._rest()
            super().on_deactivate(state)
            self.get_logger().error(f"Cannot be activated: {reason}")
            return FAILURE
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Look away: tubes end, the model stays loaded."""
        self._rest()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and its memory."""
        self._free()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End tubes, free everything."""
        self._finalized = True
        self._rest()
        self._free()
        self._monitor.situation = "finalized"
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured."""
        self._rest()
        self._free()
        return SUCCESS

    def _why_not(self, attempt: Callable[[], None]) -> str:
        """Why an attempt failed, in a line, or ""."""
        try:
            attempt()
        except UserError as error:
            return str(error)
        except Exception as error:
            self.get_logger().debug(traceback.format_exc())
            return f"{type(error).__name__}: {error}"
        return ""

    def _configure(self) -> None:
        settings = self._config.settings
        for problem in self._config.problems.values():
            raise UserError(problem)
        pipeline = Pipeline.from_model(settings["model"], settings["device"], settings.options, settings["precision"])
        outputs = self._outputs = Outputs(self, pipeline.card.labels, settings.style)
        self._worker = Worker(
            pipeline,
            on_step=self._on_step,
            on_looked=self._on_looked,
            on_refused=self._monitor.on_refused,
            on_defect=self._monitor.on_defect,
            keep_images=lambda: outputs.wants_images,
        )
        if settings["require_gpu"] and on_cpu(pipeline):
            raise UserError(f"require_gpu is set, but the network would run on the CPU (device: {settings['device']})")
        self._monitor.begin(self._worker)
        card = pipeline.card
        self.get_logger().info(
            f"Model {card.name}, {len(card.labels)} actions, {pipeline.provider}, {pipeline.precision}"
        )

    def _activate(self) -> None:
        if self._outputs is not None:
            self._outputs.publish_labels(self._config.settings["score_threshold"])
        self._monitor.situation = "disabled"
        if self._enabled:
            self._look()

    def _rest(self) -> None:
        self._look_away()
        self._active = False
        self._monitor.situation = "inactive"

    def _free(self) -> None:
        if self._outputs is not None:
            self._outputs.destroy()
        if self._worker is not None:
            self._worker.pipeline.close()
        self._outputs = self._worker = self._monitor.worker = None
        self._monitor.situation = "not configured"
        gc.collect()

    def _look(self) -> None:
        """Subscribe, and start the worker."""
        if self._worker is None or self._inputs:
            return
        topic = self.resolve_topic_name("image")
        compressed = self._config.settings["image_transport"] == "compressed"
        subscription = self.create_subscription(
            CompressedImage if compressed else Image,
            f"{topic}/compressed" if compressed else topic,
            self._on_image,
            NEWEST_IMAGE,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._monitor.on_incompatible_qos),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        info_topic = topic.rsplit("/", 1)[0] + "/camera_info"  # beside the image, as image_transport has it
        info = self.create_subscription(CameraInfo, info_topic, self._on_camera_info, NEWEST_IMAGE)
        self._inputs = [subscription, info]
        self._look_for_depth()
        self._worker.start()
        self._monitor.look(subscription)
        self._monitor.situation = "looking"
        self.get_logger().info(f"Looking at {subscription.topic_name}")

    def _look_for_depth(self) -> None:
        settings = self._config.settings
        if self._outputs is not None and settings["depth.source"] != "none":
            self._outputs.depth = DepthInput(self, settings["depth.source"], settings["depth.tolerance"])
            self._inputs.append(self._outputs.depth.subscription)

    def _look_away(self) -> None:
        """Unsubscribe, so that images cost nothing, and end all tubes."""
        self._monitor.subscription = None
        self._monitor.situation = "disabled"
        while self._inputs:
            self.destroy_subscription(self._inputs.pop())
        if self._worker is not None:
            self._worker.stop()
        if self._outputs is not None:
            self._outputs.depth = None

    # Images, and what comes of them

    def _on_image(self, message: Image | CompressedImage) -> None:
        age = self._seconds_since(nanoseconds(message.header.stamp))
        self._monitor.on_image(age)
        if self._worker is not None:
            self._worker.submit(message, age)

    def _on_camera_info(self, message: CameraInfo) -> None:
        if self._outputs is not None:
            self._outputs.camera_info = message

    def _on_step(self, step: Step) -> None:
        """In the worker's thread, or in the one that ended the tubes."""
        if self._outputs is not None:
            self._outputs.publish(step)
            self._monitor.on_step(step, self._seconds_since(step.update.stamp))

    def _on_looked(self, header: Header, latency: dict[str, float]) -> None:
        """In the worker's thread, once all that came of an image is published."""
        self._monitor.on_looked(latency)
        if self._outputs is not None:
            self._outputs.publish_latency(header, latency, self._seconds_since(nanoseconds(header.stamp)))

    def _seconds_since(self, stamp: int) -> float:
        return float(self.get_clock().now().nanoseconds - stamp) / 1e9

    # Parameters and services

    def _check(self, settings: Settings) -> None:
        """Raise UserError where the pipeline cannot follow; what it accepts holds from its next frame on."""
        options = settings.options
        if self._worker is not None:
            self._worker.pipeline.configure(options)

    def _apply(self, settings: Settings) -> None:
        if self._outputs is not None:
            self._outputs.set_style(settings.style)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._worker is None or not self._active:
            response.success, response.message = False, "the detector is not active"
            return response
        self._worker.reset()
        response.success, response.message = True, f"all tubes ended; session {self._worker.pipeline.session}"
        return response

    def _on_set_enabled(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        if self._active and request.data:
            self._look()
        elif self._active:
            self._look_away()
        response.success = True
        response.message = ("enabled" if request.data else "disabled") + ("" if self._active else ", once active")
        return response


def watch() -> int:
    """Run the node until SIGINT or SIGTERM."""
    with ros(sys.argv) as stop:
        node = DetectorNode()
        try:
            node.autostart()
            spin(node, stop)
            node.end()
        finally:
            node.destroy_node()
    return 0


def main() -> int:
    """Run the detector."""
    return run("detector", watch)


if __name__ == "__main__":
    sys.exit(main())
