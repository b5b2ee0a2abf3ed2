"""Executable `detector`: the lifecycle node that turns the images of one or several cameras into action tubes."""

from __future__ import annotations

import gc
import sys
import threading
import time
import traceback
from collections.abc import Callable

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.utilities import get_rmw_implementation_identifier
from std_srvs.srv import SetBool, Trigger

from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import ModelCard, find_model
from amtnet_ros.inference.contract import ActorEngine
from amtnet_ros.inference.factory import make_actor_engine, make_engine
from amtnet_ros.inference.shared_engine import SharedEngine
from amtnet_ros.ros import fastdds
from amtnet_ros.ros.camera import CameraChannel
from amtnet_ros.ros.lifecycle import ManagerBond, refuse_impossible
from amtnet_ros.ros.monitor import Diagnostics, on_cpu
from amtnet_ros.ros.parameters import Parameters, Settings
from amtnet_ros.ros.process import ros, run, spin
from amtnet_ros.ros.qos import unknown_overrides

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_LAST_TUBES_TIMEOUT = 0.5  # seconds until they have arrived: DDS asks for receipts only every few seconds


class DetectorNode(LifecycleNode):
    """Images in, action tubes out; docs/ros.md describes topics, parameters, services and states.

    Configured it has the model loaded, once for all cameras; active it looks at images, in the cameras' threads.
    """

    def __init__(self) -> None:
        super().__init__("detector")
        refuse_impossible(self)
        if advice := fastdds.advice(get_rmw_implementation_identifier()):
            self.get_logger().warning(advice)
        self._config = Parameters(self, check=self._check, apply=self._apply)
        self._cameras = [CameraChannel(self, name, self._config) for name in self._config.settings["cameras"] or [""]]
        self._diagnostics = Diagnostics(self, [camera.monitor for camera in self._cameras])
        self._bond = ManagerBond(self)
        self._enabled = True
        self._active = False
        self._finalized = False
        self.create_service(Trigger, "~/reset", self._on_reset)
        self.create_service(SetBool, "~/set_enabled", self._on_set_enabled)

    def autostart(self, stop: threading.Event) -> None:
        """Configure and activate, if the parameter says so, and as long as stop is not set."""
        if not self._config.settings["autostart"]:
            by_hand = f"`ros2 lifecycle set {self.get_fully_qualified_name()} configure`, then activate"
            self.get_logger().info(f"Waits for a lifecycle manager, or {by_hand}; autostart:=true needs neither")
        elif self.trigger_configure() == SUCCESS and not stop.is_set():
            self.trigger_activate()

    def end(self) -> None:
        """Shut down in good order, whatever the state."""
        if not self._finalized:
            self.trigger_shutdown()

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm the model; on a failure the reason is logged and the node stays unconfigured."""
        self._diagnostics.failure = reason = self._why_not(self._configure)
        if reason:
            self._clean_up()
            self.get_logger().error(f"Cannot be configured: {reason}")
            return FAILURE
        self._diagnostics.situation = "inactive"
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the cameras; on a failure the reason is logged and the node stays inactive."""
        result = super().on_activate(state)
        self._active = True
        if reason := self._why_not(self._activate):
            self._deactivate()
            super().on_deactivate(state)
            self.get_logger().error(f"Cannot be activated: {reason}")
            return FAILURE
        for name in unknown_overrides(self) if self._enabled else []:
            self.get_logger().warning(f"{name} is ignored: no such topic, or no such policy of it")
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the cameras: tubes end, the model stays loaded."""
        self._deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and its memory."""
        self._clean_up()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End tubes, free everything."""
        self._finalized = True
        self._deactivate()
        self._clean_up()
        self._diagnostics.situation = "finalized"
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured."""
        self._deactivate()
        self._clean_up()
        return SUCCESS

    def _why_not(self, attempt: Callable[[], None]) -> str:
        """Why an attempt failed, in a line, or ""."""
        try:
            attempt()
        except UserError as error:
            return str(error)
        except Exception as error:
            self.get_logger().debug(traceback.format_exc())
            return f"{type(error).__name__}: {' '.join(str(error).split())}"
        return ""

    def _configure(self) -> None:
        """One engine, which all cameras share."""
        settings = self._config.settings
        for problem in self._config.problems.values():
            raise UserError(problem)
        engine = make_engine(settings["model"], settings["device"], precision=settings["precision"])
        shared = SharedEngine(engine)
        for camera in self._cameras:
            camera.configure(shared.camera(), self._actor_engine(engine.card))
        if settings["require_gpu"] and on_cpu(engine.provider):
            raise UserError(f"require_gpu is set, but the network would run on the CPU (device: {settings['device']})")
        card = engine.card
        stream = "with" if card.actor and settings["actor_stream"] else "without"
        self.get_logger().info(
            f"Model {card.name}, {len(card.named_actions)} actions, {engine.provider}, {engine.precision}, "
            f"{stream} the stream that looks at persons"
        )

    def _actor_engine(self, card: ModelCard) -> ActorEngine | None:
        """What looks at the persons of one camera; None where the model has no such stream, or it is switched off."""
        settings = self._config.settings
        if card.actor is None or not settings["actor_stream"]:
            return None
        return make_actor_engine(settings["model"], settings["device"], precision=settings["precision"])

    def _activate(self) -> None:
        for camera in self._cameras:
            camera.publish_labels()
        self._diagnostics.situation = "disabled"
        if self._enabled:
            self._start()
        if self._config.settings["bond"]:
            self._bond.form()

    def _deactivate(self) -> None:
        self._bond.dissolve()
        self._stop()
        self._active = False
        self._diagnostics.situation = "inactive"

    def _clean_up(self) -> None:
        until = time.monotonic() + _LAST_TUBES_TIMEOUT
        for camera in self._cameras:
            camera.shut_down(timeout=max(0.0, until - time.monotonic()))
        self._diagnostics.situation = "not configured"
        if not self._finalized:
            gc.collect()

    def _start(self) -> None:
        for camera in self._cameras:
            camera.start()
        self._diagnostics.situation = "looking"

    def _stop(self) -> None:
        """End all tubes; what the cameras still have in progress, they finish side by side."""
        self._diagnostics.situation = "disabled"
        for camera in self._cameras:
            camera.stop()
        for camera in self._cameras:
            camera.end_tubes()

    # Parameters and services

    def _check(self, settings: Settings) -> None:
        """Raise UserError where a pipeline cannot follow; what it accepts holds from its next frame on.

        All pipelines have the same model: what the first accepts the others accept as well.
        """
        if settings["model"] != self._config.settings["model"]:
            find_model(settings["model"])
        options = settings.options
        for camera in self._cameras:
            camera.set_options(options)

    def _apply(self, settings: Settings) -> None:
        for camera in self._cameras:
            camera.apply(settings)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if not self._active:
            response.success, response.message = False, "the detector is not active"
            return response
        for camera in self._cameras:
            camera.reset()
        sessions = ", ".join(f"{camera.name} {camera.session}".strip() for camera in self._cameras)
        response.success, response.message = True, f"all tubes ended; session {sessions}"
        return response

    def _on_set_enabled(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        if self._active and request.data:
            self._start()
        elif self._active:
            self._stop()
        response.success = True
        response.message = ("enabled" if request.data else "disabled") + ("" if self._active else ", once active")
        return response


def watch() -> int:
    """Run the node until SIGINT or SIGTERM."""
    with ros(sys.argv) as stop:
        node = DetectorNode()
        try:
            node.autostart(stop)
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
