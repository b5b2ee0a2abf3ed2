"""All that a detector can be told, in one table: ROS parameters and the options of `amtnet run` have these names.

The table is the options of the classes in `GROUPS`. On the command line a name has hyphens for dots and underscores:
`link.max_misses` is `--link-max-misses`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

from amtnet_ros.inference.contract import PRECISIONS, Selection
from amtnet_ros.media.drawing import Style
from amtnet_ros.options import (
    AT_START,
    ON_ACTIVATE,
    ON_CONFIGURE,
    Option,
    check_options,
    option,
    options_of,
    same_option,
)
from amtnet_ros.tubes import LinkerOptions

Options = TypeVar("Options")


@dataclass(frozen=True)
class ModelOptions:
    """Which network runs, and on what."""

    model: str = option("light", "A name in the models folder, or the path of a model folder.", effect=ON_CONFIGURE)
    device: str = option(
        "auto", "Where the network runs: auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N.", effect=ON_CONFIGURE
    )
    precision: str = option(
        "auto",
        "Of the network's arithmetic; auto: int8 on a CPU made for it, if the model has that form.",
        choices=PRECISIONS,
        effect=ON_CONFIGURE,
    )


@dataclass(frozen=True)
class NodeOptions:
    """How the node starts, and which images reach it."""

    require_gpu: bool = option(False, "Refuse to configure rather than run on the CPU.", effect=ON_CONFIGURE)
    autostart: bool = option(False, "Configure and activate without being told to.", effect=AT_START)
    bond: bool = option(
        False,
        "While active, a bond with Nav2's lifecycle manager, which so notices a crash; it takes ROS's bondpy.",
        effect=ON_ACTIVATE,
    )
    cameras: tuple[str, ...] = option(
        (),
        "Names of several cameras, each with its own NAME/image, NAME/action_tubes ...; none: one camera, on image.",
        names=True,
        effect=AT_START,
    )
    image_transport: str = option(
        "raw",
        "raw subscribes to image, compressed to image/compressed.",
        choices=("raw", "compressed"),
        effect=ON_ACTIVATE,
    )
    image_timeout: float = option(
        2.0, "When no image came for so long, all tubes end, and a warning says so.", low=0.1, high=3_600.0, unit="s"
    )
    max_image_age: float = option(
        2.0, "Warn when images are older than this on arrival.", low=0.01, high=3_600.0, unit="s"
    )


@dataclass(frozen=True)
class PipelineOptions:
    """What may be changed while the pipeline runs. Raises UserError for a value out of range.

    linker: see tubes.LinkerOptions. The others stand below.

        PipelineOptions(delta=2, classes=("walk", "run"), linker=LinkerOptions(confirm_after=3))
    """

    classes: tuple[str, ...] = option(
        (), "Only these actions are reported, by label; none given: all. Who does others is `other`."
    )
    actor_stream: bool = option(
        True,
        "Look at each person for a second, and say what they do by both networks, where the model has that stream.",
        effect=ON_CONFIGURE,
    )
    actions: tuple[str, ...] = option(
        (),
        "Actions by name, besides the model's own: any of the 600 that `amtnet actions` lists, or some under a label "
        "of one's own, `greet: [waving hand, shaking hands]`.",
        effect=ON_CONFIGURE,
    )
    max_looks: int = option(
        4, "Persons that are looked at in one step, at most; more take turns.", low=1, high=64, effect=ON_CONFIGURE
    )
    delta: int = option(
        0,
        "Frames between the two images of a pair, at the model's frame rate; 0: as the model was trained.",
        low=0,
        high=64,
    )
    max_delta: int = option(
        0, "While steps take longer than images are apart, delta grows up to this; 0: never.", low=0, high=64
    )
    pairs_by_clock: bool = option(
        False,
        "With a delta above 1: pairs begin at times that follow from the stamps alone, not from the first image.",
        effect=ON_CONFIGURE,
        offered=False,
    )
    score_threshold: float = same_option(Selection, "score_threshold")
    nms_iou: float = same_option(Selection, "nms_iou")
    max_per_class: int = same_option(Selection, "max_per_class")
    max_frame_gap: float = option(
        0.5, "No pair, and no flow, bridges a longer gap between two images.", low=0.01, high=60.0, unit="s"
    )
    end_at_cuts: bool = option(
        True,
        "All tubes end where the scene changes from one image to the next, as at a cut in a film; a single image that "
        "is unlike both its neighbours, a flash, is left out.",
    )
    reset_jump: float = same_option(
        LinkerOptions,
        "reset_jump",
        text="Stamps that fall back so far begin a new session; by less, the image is dropped.",
        offered=True,
    )
    linker: LinkerOptions = field(default_factory=LinkerOptions)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class DepthOptions:
    """How tubes are placed in space."""

    source: str = option(
        "none",
        "Places in space by depth_image (image, with CameraInfo) or points (points), aligned with the image.",
        choices=("none", "image", "points"),
        effect=ON_ACTIVATE,
    )
    tolerance: float = option(
        0.05, "Stamps of depth and image may differ so much.", low=0.0, high=1.0, unit="s", effect=ON_ACTIVATE
    )


@dataclass(frozen=True)
class Group:
    """Options that belong together. prefix: of their names. on_robots: not on the command line, which has no use."""

    title: str
    owner: type
    prefix: str = ""
    on_robots: bool = False

    @property
    def options(self) -> list[Option]:
        """Those that are offered, under their full names."""
        known = options_of(self.owner).values()
        return [replace(one, name=self.prefix + one.name) for one in known if one.offered]


GROUPS = (
    Group("What runs", ModelOptions),
    Group("How the node starts, and what comes in", NodeOptions, on_robots=True),
    Group("What counts as an action", PipelineOptions),
    Group("How micro-tubes become tubes", LinkerOptions, "link."),
    Group("Where it is in space", DepthOptions, "depth.", on_robots=True),
    Group("What is drawn in ~/debug_image, or in the video of `amtnet run`", Style),
)
TABLE: Mapping[str, Option] = MappingProxyType({one.name: one for group in GROUPS for one in group.options})


@dataclass(frozen=True)
class Settings:
    """Values of the table, checked each by itself and together.

    changed: those that are not at their defaults, or were set to them.

        Settings().replaced({"link.mode": "per_class"}).options
    """

    changed: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.changed.get(name, TABLE[name].default)

    def replaced(self, changes: Mapping[str, Any]) -> Settings:
        """With these changes. Raises UserError if one is not allowed; a name must be in the table."""
        checked = {name: TABLE[name].checked(value, "parameter") for name, value in changes.items()}
        return Settings({**self.changed, **checked})

    def group(self, owner: type[Options]) -> Options:
        """The options of one of the classes of `GROUPS`."""
        (group,) = (group for group in GROUPS if group.owner is owner)
        return owner(**{one.name.removeprefix(group.prefix): self[one.name] for one in group.options})

    @property
    def options(self) -> PipelineOptions:
        """What the pipeline is told. Its linker drops no micro-tube that passed the pipeline's own threshold."""
        pipeline, linker = self.group(PipelineOptions), self.group(LinkerOptions)
        shared = replace(linker, score_threshold=pipeline.score_threshold, reset_jump=pipeline.reset_jump)
        return replace(pipeline, linker=shared)

    @property
    def style(self) -> Style:
        """What the painter is told."""
        return self.group(Style)
