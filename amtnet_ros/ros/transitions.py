"""Requests for transitions that the state does not allow: refused, whatever the ROS distribution."""

from __future__ import annotations

from lifecycle_msgs.srv import ChangeState
from rclpy._rclpy_pybind11 import RCLError
from rclpy.lifecycle import LifecycleNode


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
