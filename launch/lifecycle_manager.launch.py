"""A detector that Nav2's lifecycle manager configures and activates, and takes down with the nodes beside it.

    ros2 launch amtnet_ros lifecycle_manager.launch.py image:=/camera/image_raw
    ros2 launch amtnet_ros lifecycle_manager.launch.py bond:=true          # the manager notices a crash, too

It needs nav2_lifecycle_manager (sudo apt install ros-$ROS_DISTRO-nav2-lifecycle-manager), and for the bond bondpy (sudo
apt install ros-$ROS_DISTRO-bondpy). Without a bond the manager does not notice a crash: the detector that is then
started again stays unconfigured, and warns in /diagnostics. With one it configures and activates that, too.
"""

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription

DETECTOR = Path(get_package_share_directory("amtnet_ros"), "launch", "detector.launch.py")


def manager(context: LaunchContext) -> list[Node]:
    """The manager, which waits for a bond only where the detector forms one."""
    try:
        get_package_prefix("nav2_lifecycle_manager")
    except PackageNotFoundError:
        raise RuntimeError("it takes sudo apt install ros-$ROS_DISTRO-nav2-lifecycle-manager") from None
    bond_timeout = 4.0 if LaunchConfiguration("bond").perform(context) == "true" else 0.0
    return [
        Node(
            package="nav2_lifecycle_manager",
            executable="lifecycle_manager",
            name="lifecycle_manager_perception",
            parameters=[{"autostart": True, "bond_timeout": bond_timeout, "node_names": ["detector"]}],
            output="screen",
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    image = DeclareLaunchArgument(
        "image", default_value="/camera/image_raw", description="Topic of the camera's images."
    )
    bond = DeclareLaunchArgument(
        "bond", default_value="false", choices=["true", "false"], description="Let the manager notice a crash."
    )
    passed = {name: LaunchConfiguration(name) for name in ("image", "bond")}
    detector = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(DETECTOR)), launch_arguments={**passed, "autostart": "false"}.items()
    )
    # The manager first: without it no detector starts, which would wait for it in vain.
    return LaunchDescription([image, bond, OpaqueFunction(function=manager), GroupAction([detector])])
