"""Prints who does what in a video, while it plays: the detector in twenty lines, without ROS.

python3 examples/watch_video.py my_video.mp4
"""

from __future__ import annotations

import sys

from amtnet_ros.contracts import TubeState
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import Pipeline

pipeline = Pipeline.from_model("light")
for stamp, image in open_source(sys.argv[1]).stamped():
    for update in pipeline.push(stamp, image):
        for tube in update.tubes:
            if tube.state == TubeState.ACTIVE and len(tube.boxes):
                x1, y1, x2, y2 = tube.boxes[-1].round().astype(int)
                label = pipeline.labels[tube.label]
                print(f"{stamp / 1e9:6.2f} s  #{tube.id} {label} {tube.score:.2f}  at {x1},{y1} to {x2},{y2}")
