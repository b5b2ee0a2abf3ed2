"""Example: two cameras, a detector for each, in the namespaces front and back.

Tubes come on /front/action_tubes and /back/action_tubes.

    ros2 launch amtnet_ros two_cameras.launch.py front_image:=/front/image_raw back_image:=/back/image_raw
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription

DETECTOR = Path(get_package_share_directory("amtnet_ros"), "launch", "detector.launch.py")
CAMERAS = ("front", "back")


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    description = LaunchDescription()
    for camera in CAMERAS:
        image = f"{camera}_image"
        description.add_action(
            DeclareLaunchArgument(
                image, default_value=f"/{camera}/image_raw", description=f"Images of the {camera} camera."
            )
        )
        arguments = {"namespace": camera, "image": LaunchConfiguration(image)}
        include = IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(DETECTOR)), launch_arguments=arguments.items()
        )
        # A group of its own: the arguments given to one detector do not become defaults of the other.
        description.add_action(GroupAction([include], scoped=True))
    return description
