"""The detector's parameters: the table of settings, declared to ROS, checked and applied."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from amtnet_ros.errors import UserError
from amtnet_ros.options import AT_START, Option
from amtnet_ros.settings import TABLE, Settings

__all__ = ["Parameters", "Settings"]

_FOREIGN = ("use_sim_time", "start_type_description_service", "qos_overrides.", "bond_", "diagnostic_updater.")


def descriptor_of(setting: Option) -> ParameterDescriptor:
    """The setting as ROS tools show it."""
    descriptor = ParameterDescriptor(
        description=f"{setting.text} Takes effect {setting.effect}.",
        additional_constraints=f"One of: {setting.values}." if setting.choices else "",
        read_only=setting.effect == AT_START,
        dynamic_typing=True,  # so that the table judges the type: rclpy's own reply does not name the parameter
    )
    if setting.low is None or setting.high is None:
        return descriptor
    if setting.kind is float:
        descriptor.floating_point_range = [FloatingPointRange(from_value=setting.low, to_value=setting.high)]
    else:
        descriptor.integer_range = [IntegerRange(from_value=int(setting.low), to_value=int(setting.high), step=1)]
    return descriptor


def as_ros(value: Any) -> Any:
    """A value of the table as a parameter's: ROS knows no empty list of strings, [""] stands for it."""
    return list(value) or [""] if isinstance(value, tuple) else value


def from_ros(value: Any) -> Any:
    """A parameter's value as the table's; rclpy takes an empty list for one of bytes."""
    if isinstance(value, bytes) or hasattr(value, "tolist"):
        value = list(value)
    return [] if value == [""] else value


class Parameters:
    """The parameters of a node.

    Values given at start that are not allowed do not stop the node: the default stands in, and `problems` says what to
    mend before it can be configured. Values set later are checked together and taken over all or none.

    check: called with the settings that would result; raises UserError if the running detector cannot follow them.
    apply: called with the settings that came about.
    """

    def __init__(self, node: Node, check: Callable[[Settings], None], apply: Callable[[Settings], None]) -> None:
        self._check, self._apply = check, apply
        self.problems: dict[str, str] = {}
        self.settings = Settings()
        given = {name: given.value for name, given in node._parameter_overrides.items() if given.value is not None}
        for setting in TABLE.values():
            self._declare(node, setting, given.get(setting.name, setting.default))
        for name in given:
            if name not in TABLE and not name.startswith(_FOREIGN):
                node.get_logger().warning(_unknown(name))
        node.add_on_set_parameters_callback(self._on_set)

    def _declare(self, node: Node, setting: Option, value: Any) -> None:
        name = setting.name
        try:
            self.settings = self.settings.replaced({name: from_ros(value)})
        except UserError as error:
            self.problems[name] = str(error)
        node.declare_parameter(name, as_ros(self.settings[name]), descriptor_of(setting), ignore_override=True)

    def _on_set(self, changed: list[RosParameter[Any]]) -> SetParametersResult:
        """Check the changes together with what stands, then let them take effect: all or none."""
        changes = {parameter.name: from_ros(parameter.value) for parameter in changed if parameter.name in TABLE}
        if not changes:
            return SetParametersResult(successful=True)
        try:
            settings = self.settings.replaced(changes)
            self._check(settings)
        except UserError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for parameter in changed:
            self.problems.pop(parameter.name, None)
            if parameter.name in changes and TABLE[parameter.name].kind is float:
                _make_float(parameter)
        self.settings = settings
        self._apply(settings)
        return SetParametersResult(successful=True)


def _make_float(parameter: RosParameter[Any]) -> None:
    """`ros2 param set NODE NAME 1` sends an integer, which rclpy would store as one, and so change the type."""
    parameter._type_, parameter._value = RosParameter.Type.DOUBLE, float(parameter.value)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, TABLE, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(TABLE)}"
    return f"unknown parameter '{name}' is ignored{hint}"
