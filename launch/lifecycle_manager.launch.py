"""A detector that Nav2's lifecycle manager configures and activates, and takes down with the nodes beside it.

    ros2 launch amtnet_ros lifecycle_manager.launch.py image:=/camera/image_raw

It needs nav2_lifecycle_manager (sudo apt install ros-$ROS_DISTRO-nav2-lifecycle-manager). The detector forms no bond,
so the manager waits for none, and does not notice a crash: the detector that is then started again stays unconfigured,
and warns in /diagnostics. With autostart:=true, and without a manager, it would come back by itself.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription

DETECTOR = Path(get_package_share_directory("amtnet_ros"), "launch", "detector.launch.py")


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    image = DeclareLaunchArgument(
        "image", default_value="/camera/image_raw", description="Topic of the camera's images."
    )
    detector = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(DETECTOR)),
        launch_arguments={"image": LaunchConfiguration("image"), "autostart": "false"}.items(),
    )
    manager = Node(
        package="nav2_lifecycle_manager",
        executable="lifecycle_manager",
        name="lifecycle_manager_perception",
        parameters=[{"autostart": True, "bond_timeout": 0.0, "node_names": ["detector"]}],
        output="screen",
    )
    return LaunchDescription([image, GroupAction([detector]), manager])
