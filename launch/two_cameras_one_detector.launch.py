"""Example: two cameras, front and back, and one detector for both: the model is in memory once.

Tubes come on /front/action_tubes and /back/action_tubes.

    ros2 launch amtnet_ros two_cameras_one_detector.launch.py front_image:=/front/image_raw back_image:=/back/image_raw
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription

CONFIG = Path(get_package_share_directory("amtnet_ros"), "config", "detector.yaml")
CAMERAS = ("front", "back")


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    arguments = [
        DeclareLaunchArgument(
            f"{camera}_image", default_value=f"/{camera}/image_raw", description=f"Images of the {camera} camera."
        )
        for camera in CAMERAS
    ]
    detector = Node(
        package="amtnet_ros",
        executable="detector",
        name="detector",
        parameters=[str(CONFIG), {"cameras": list(CAMERAS), "autostart": True}],
        remappings=[(f"{camera}/image", LaunchConfiguration(f"{camera}_image")) for camera in CAMERAS],
        respawn=True,
        respawn_delay=2.0,
        output="screen",
        emulate_tty=True,
    )
    return LaunchDescription([*arguments, detector])
