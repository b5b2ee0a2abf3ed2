"""What a lifecycle manager asks of a node: transitions, and a bond, by which it notices that the node died."""

from __future__ import annotations

from typing import Any

from lifecycle_msgs.srv import ChangeState
from rclpy._rclpy_pybind11 import RCLError
from rclpy.lifecycle import LifecycleNode

_PERIOD, _SILENCE = 0.1, 4.0  # seconds between two signs of life, and without one until the other is dead: Nav2's own
_DISABLED = "/bond_disable_heartbeat_timeout"
"""A parameter that bondpy declares when it hears nothing any more, and cannot declare twice."""


class ManagerBond:
    """One side of a bond, as Nav2's nodes form it: on the topic `bond`, with the node's name, while it is active.

    The other side is the manager's. That it is gone is said in the log, and changes nothing else. It takes ROS's
    bondpy, from apt.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._bond: Any = None
        self._formed = False

    def form(self) -> None:
        """Show signs of life from now on. Without bondpy a warning says how to get it."""
        try:
            from bondpy.bondpy import Bond
        except Exception as error:  # the package of that name on PyPI is another, and fails in ways of its own
            self._node.get_logger().warning(
                f"No bond is formed, and a manager must not wait for one (bond_timeout: 0.0): {error}; "
                "sudo apt install ros-$ROS_DISTRO-bondpy, which is not the bondpy that pip finds"
            )
            return
        self._formed = False
        bond = Bond(self._node, "bond", self._node.get_name())
        bond.set_formed_callback(self._on_formed)
        bond.set_broken_callback(lambda: self._on_broken(bond))
        bond.heartbeat_period, bond.heartbeat_timeout = _PERIOD, _SILENCE
        self._bond = bond
        bond.start()

    def dissolve(self) -> None:
        """Tell the manager that this is no death, and show no more signs of life."""
        bond, self._bond = self._bond, None
        if bond is None:
            return
        bond.shutdown()
        self._node.destroy_subscription(bond.sub)  # bondpy leaves the node a dead one
        self._node.destroy_publisher(bond.pub)
        if self._node.has_parameter(_DISABLED):
            self._node.undeclare_parameter(_DISABLED)

    def _on_formed(self) -> None:
        self._formed = True
        self._node.get_logger().info("Bond with the lifecycle manager formed")

    def _on_broken(self, bond: Any) -> None:
        """bondpy tells so of a bond that was dissolved as well, some seconds later."""
        if bond is self._bond:
            gone = "The lifecycle manager is gone, and the bond with it" if self._formed else "No manager forms a bond"
            self._node.get_logger().warning(f"{gone}; the detector goes on looking")


def refuse_impossible(node: LifecycleNode) -> None:
    """Let a request for an impossible transition be answered with success = false, and change nothing.

    rclpy of Humble and Jazzy raises an error in the executor instead, which would end the process without an answer;
    a lifecycle manager that configures a node with `autostart` asks for such a transition.
    """
    service = node._service_change_state
    change = service.callback

    def answer(request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        try:
            return change(request, response)
        except RCLError as error:
            asked = request.transition.label or request.transition.id
            node.get_logger().warning(f"Transition {asked} refused: {' '.join(str(error).split())}")
            response.success = False
            return response

    service.callback = answer
