"""What a behaviour needs to act on actions; see docs/ros.md and examples/."""

from amtnet_ros.ros.client import Action, ActionAssembler, ActionClient, Box, Filter

__all__ = ["Action", "ActionAssembler", "ActionClient", "Box", "Filter"]
