"""Online linking of micro-tubes into action tubes."""

from amtnet_ros.tube_boxes import TubeAssembler
from amtnet_ros.tubes.interpolation import ImageBoxes
from amtnet_ros.tubes.labelling import RunningLabeller, TubeLabeller, label_frames, trim
from amtnet_ros.tubes.linker import LinkerCounters, TubeLinker
from amtnet_ros.tubes.options import PAPER, PER_CLASS, LinkerOptions

__all__ = [
    "PAPER",
    "PER_CLASS",
    "ImageBoxes",
    "LinkerCounters",
    "LinkerOptions",
    "RunningLabeller",
    "TubeAssembler",
    "TubeLabeller",
    "TubeLinker",
    "label_frames",
    "trim",
]
