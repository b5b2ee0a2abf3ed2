"""The detector's parameters: one table, from which they are declared, checked, applied and documented."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from amtnet_ros.errors import UserError
from amtnet_ros.media.drawing import Style
from amtnet_ros.pipeline import PipelineOptions
from amtnet_ros.tubes import LinkerOptions
from amtnet_ros.tubes.options import CHOICES

Value = bool | int | float | str | list[str]

# A robot deals with people: one person is one tube, whatever it takes the person to be doing.
_OPTIONS = PipelineOptions(linker=LinkerOptions(mode="actor"))
_STYLE = Style()

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
AT_ONCE, ON_ACTIVATE, ON_CONFIGURE, AT_START = "at once", "when activated", "when configured", "at start only"


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name, default and meaning, when a change takes effect, and which values it may have.

    names: the items of the list become parts of topic names, so they must be fit for that, and differ.
    """

    name: str
    default: Value
    text: str
    effect: str = AT_ONCE
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    names: bool = False

    @property
    def descriptor(self) -> ParameterDescriptor:
        """As ROS tools show it."""
        descriptor = ParameterDescriptor(
            description=f"{self.text} Takes effect {self.effect}.",
            additional_constraints=f"One of: {', '.join(self.choices)}." if self.choices else "",
            read_only=self.effect == AT_START,
            dynamic_typing=True,  # so that `checked` judges the type: rclpy's own reply does not name the parameter
        )
        if isinstance(self.default, float) and self.low is not None and self.high is not None:
            descriptor.floating_point_range = [FloatingPointRange(from_value=self.low, to_value=self.high)]
        elif isinstance(self.default, int) and self.low is not None and self.high is not None:
            descriptor.integer_range = [IntegerRange(from_value=int(self.low), to_value=int(self.high), step=1)]
        return descriptor

    def checked(self, value: Any) -> Value:
        """The value in the parameter's type. Raises UserError, naming the parameter, if it is none it may have."""
        if isinstance(self.default, list):
            return self._checked_list(value)
        if isinstance(self.default, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not type(self.default):
            raise UserError(f"parameter {self.name}: {value!r} is not {_KINDS[type(self.default)]}")
        if isinstance(value, (int, float)) and not self._in_range(value):
            raise UserError(f"parameter {self.name}: {value} is not in {self.low} to {self.high}")
        if self.choices and value not in self.choices:
            raise UserError(f"parameter {self.name}: '{value}' is none of {', '.join(self.choices)}")
        checked: Value = value
        return checked

    def _in_range(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def _checked_list(self, value: Any) -> list[str]:
        items = list(value) if isinstance(value, (list, tuple, bytes)) or hasattr(value, "tolist") else None
        if items is None or not all(isinstance(item, str) for item in items):
            raise UserError(f"parameter {self.name}: {value!r} is not a list of strings")
        if self.names and items != [""]:
            self._check_names(items)
        return [item for item in items if item]

    def _check_names(self, items: list[str]) -> None:
        for number, item in enumerate(items):
            if not _NAME.fullmatch(item):
                raise UserError(
                    f"parameter {self.name}: '{item}' cannot be part of a topic's name; letters, digits and "
                    "underscores can, beginning with a letter"
                )
            if item in items[:number]:
                raise UserError(f"parameter {self.name}: '{item}' is there twice")


def _option(name: str, text: str, low: float, high: float) -> Parameter:
    """A parameter that is a field of PipelineOptions, with its default."""
    return Parameter(name, getattr(_OPTIONS, name), text, low=low, high=high)


def _link(
    name: str, text: str, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()
) -> Parameter:
    """A parameter that is a field of LinkerOptions, with its default."""
    return Parameter(f"link.{name}", getattr(_OPTIONS.linker, name), text, low=low, high=high, choices=choices)


PARAMETERS: tuple[Parameter, ...] = (
    # What runs
    Parameter("model", "light", "A name in the models folder, or the path of a model folder.", ON_CONFIGURE),
    Parameter("device", "auto", "Where the network runs: auto, cpu, cuda, cuda:1 or tensorrt.", ON_CONFIGURE),
    Parameter(
        "precision",
        "auto",
        "Of the network's arithmetic; auto: int8 on a CPU made for it, if the model has that form.",
        ON_CONFIGURE,
        choices=("auto", "fp32", "fp16", "int8"),
    ),
    Parameter("require_gpu", False, "Refuse to configure rather than run on the CPU.", ON_CONFIGURE),
    Parameter("autostart", False, "Configure and activate without being told to.", AT_START),
    # What comes in
    Parameter(
        "cameras",
        [""],
        "Names of several cameras, each with its own NAME/image, NAME/action_tubes ...; empty: one camera, on image.",
        AT_START,
        names=True,
    ),
    Parameter(
        "image_transport",
        "raw",
        "raw subscribes to image, compressed to image/compressed.",
        ON_ACTIVATE,
        choices=("raw", "compressed"),
    ),
    Parameter("image_timeout", 5.0, "Warn when no image came for so long [s].", low=0.1, high=3600.0),
    Parameter("max_image_age", 2.0, "Warn when images are older than this on arrival [s].", low=0.01, high=3600.0),
    # What counts as an action
    Parameter("classes", [""], "Only these actions are reported, by label; empty: all."),
    Parameter("delta", 0, "Frames between the two images of a pair; 0: as the model was trained.", low=0, high=64),
    _option("max_delta", "While steps take longer than images are apart, delta grows up to this; 0: never.", 0, 64),
    _option("score_threshold", "Micro-tubes with a lower score are ignored.", 0.0, 1.0),
    _option("nms_iou", "Of two boxes of a class that overlap more (IoU), the weaker is dropped.", 0.0, 1.0),
    _option("max_per_class", "The best so many micro-tubes of each class are linked.", 1, 1000),
    _option("max_frame_gap", "No pair, and no flow, bridges a longer gap between two images [s].", 0.01, 60.0),
    _option(
        "reset_jump",
        "Stamps that fall back so far begin a new session; by less, the image is dropped [s].",
        0.01,
        3600.0,
    ),
    # How micro-tubes become tubes
    _link(
        "mode",
        "actor: one person is one tube, its class may change; per_class: each class is linked by itself.",
        choices=CHOICES["mode"],
    ),
    _link(
        "iou_threshold", "The least overlap (IoU) of a tube's last box with the micro-tube that continues it.", 0.0, 1.0
    ),
    _link("lost_iou_threshold", "The same for a tube that was missed: it has moved since it was seen.", 0.0, 1.0),
    _link("match", "Which of several micro-tubes a tube prefers; both is score times IoU.", choices=CHOICES["match"]),
    _link("nms_iou", "Of two boxes that overlap more (IoU), the weaker is not linked.", 0.0, 1.0),
    _link("start_score", "A micro-tube with a lower score may continue a tube, but starts none.", 0.0, 1.0),
    _link("confirm_after", "A tube is tentative until it was seen in so many pairs.", 1, 1000),
    _link("confirm_score", "A tube is tentative until its score has reached this.", 0.0, 1.0),
    _link("max_misses", "A tube that was missed so many times in a row ends.", 1, 1000),
    _link("min_coasting", "A confirmed tube that is missed does not end sooner than this [s].", 0.0, 60.0),
    _link("max_frame_gap", "A tube that was last seen longer ago than this ends [s].", 0.01, 60.0),
    _link("max_tubes", "Tubes that live at a time, at most; the weakest end first.", 1, 10000),
    # Where it is in space
    Parameter(
        "depth.source",
        "none",
        "Places in space by depth_image (image, with CameraInfo) or points (points), aligned with the image.",
        ON_ACTIVATE,
        choices=("none", "image", "points"),
    ),
    Parameter(
        "depth.tolerance", 0.05, "Stamps of depth and image may differ so much [s].", ON_ACTIVATE, low=0.0, high=1.0
    ),
    # What is drawn
    Parameter(
        "trail_length", _STYLE.trail, "Debug image: boxes that a tube's trail connects; 0: none.", low=0, high=1000
    ),
    Parameter("draw_tentative", _STYLE.tentative, "Debug image: draw tubes before they are confirmed."),
    Parameter("draw_scale", _STYLE.scale, "Debug image: size of lines and letters.", low=0.25, high=4.0),
)

TABLE: Mapping[str, Parameter] = {parameter.name: parameter for parameter in PARAMETERS}

_FOREIGN = ("use_sim_time", "start_type_description_service", "qos_overrides.", "bond_", "diagnostic_updater.")


@dataclass(frozen=True)
class Settings:
    """All parameters, checked each by itself and together."""

    values: Mapping[str, Value]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def replaced(self, changes: Mapping[str, Any]) -> Settings:
        """With these changes. Raises UserError if one is not allowed."""
        checked = {name: TABLE[name].checked(value) for name, value in changes.items() if name in TABLE}
        return Settings({**self.values, **checked})

    @property
    def options(self) -> PipelineOptions:
        """What the pipeline is told."""
        names = {field.name for field in dataclasses.fields(PipelineOptions)}
        same: dict[str, Any] = {name: value for name, value in self.values.items() if name in names}
        prefix = "link."
        linker: dict[str, Any] = {
            name[len(prefix) :]: value for name, value in self.values.items() if name.startswith(prefix)
        }
        shared: dict[str, Any] = {name: self[name] for name in ("score_threshold", "reset_jump")}
        same["linker"] = dataclasses.replace(_OPTIONS.linker, **shared, **linker)
        same["delta"] = self["delta"] or None
        same["classes"] = tuple(self["classes"]) or None
        return PipelineOptions(**same)

    @property
    def style(self) -> Style:
        """What the painter is told."""
        return Style(trail=self["trail_length"], tentative=self["draw_tentative"], scale=self["draw_scale"])


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
        self.settings = Settings({parameter.name: parameter.default for parameter in PARAMETERS})
        given = {name: given.value for name, given in node._parameter_overrides.items() if given.value is not None}
        for parameter in PARAMETERS:
            self._declare(node, parameter, given.get(parameter.name, parameter.default))
        for name in given:
            if name not in TABLE and not name.startswith(_FOREIGN):
                node.get_logger().warning(_unknown(name))
        node.add_on_set_parameters_callback(self._on_set)

    def _declare(self, node: Node, parameter: Parameter, value: Any) -> None:
        try:
            self.settings = self.settings.replaced({parameter.name: value})
        except UserError as error:
            self.problems[parameter.name] = str(error)
        effective = self.settings[parameter.name]
        if effective == []:  # has no type
            effective = parameter.default
        node.declare_parameter(parameter.name, effective, parameter.descriptor, ignore_override=True)

    def _on_set(self, changed: list[RosParameter[Any]]) -> SetParametersResult:
        """Check the changes together with what stands, then let them take effect: all or none."""
        changes = {parameter.name: parameter.value for parameter in changed if parameter.name in TABLE}
        if not changes:
            return SetParametersResult(successful=True)
        try:
            settings = self.settings.replaced(changes)
            self._check(settings)
        except UserError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for name in changes:
            self.problems.pop(name, None)
        self.settings = settings
        self._apply(settings)
        return SetParametersResult(successful=True)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, TABLE, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(TABLE)}"
    return f"unknown parameter '{name}' is ignored{hint}"
