"""From camera to pairs: which frames are taken, and which of them make a pair."""

from amtnet_ros.stream.cuts import SceneCuts
from amtnet_ros.stream.frames import Admission, FrameGate, FrameStream
from amtnet_ros.stream.pairs import AdaptiveDelta, PairMaker, frames_between
from amtnet_ros.stream.slot import NewestSlot
from amtnet_ros.stream.strays import Strays

__all__ = [
    "AdaptiveDelta",
    "Admission",
    "FrameGate",
    "FrameStream",
    "NewestSlot",
    "PairMaker",
    "SceneCuts",
    "Strays",
    "frames_between",
]
