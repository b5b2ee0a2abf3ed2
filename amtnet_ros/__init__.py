"""Online action tubes for robots: Two-Stream AMTnet as a ROS 2 package."""

from pkgutil import extend_path

# The generated messages (amtnet_ros.msg) live in the ROS install space, this code may live in a source
# checkout: the two halves of the package are merged instead of one hiding the other.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
