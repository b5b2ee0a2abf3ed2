"""What a behaviour needs to act on actions; see docs/ros.md and examples/."""

from amtnet_ros.ros.actions import Action, ActionAssembler, EndReason
from amtnet_ros.ros.client import ActionClient, Filter
from amtnet_ros.tube_boxes import Box

__all__ = ["Action", "ActionAssembler", "ActionClient", "Box", "EndReason", "Filter"]
