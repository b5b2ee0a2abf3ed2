"""Online action tubes for robots: Two-Stream AMTnet as a ROS 2 package."""

import os
import sys
from pkgutil import extend_path

# The generated messages (amtnet_ros.msg) live in the ROS install space, this code may live in a source
# checkout: the two halves of the package are merged instead of one hiding the other.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"

# OpenCV reads these when it is imported, which is never before this file is. A picture of a few bytes may claim any
# size; OpenCV's own limit of 2^30 pixels lets a JPEG fill 5 GB. Of broken pictures we say ourselves.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 26))
os.environ.setdefault("OPENCV_LOG_LEVEL", "FATAL")

if sys.argv[:1] == ["-m"]:  # Python looks for the module of `python -m amtnet_ros.…`: a program starts
    from amtnet_ros.program import end_at_once

    end_at_once()
