"""A web page that shows a camera and its action tubes, live: robots have no screen.

    ros2 launch amtnet_ros view.launch.py image:=/camera/image_raw                    # http://127.0.0.1:8765
    ros2 launch amtnet_ros view.launch.py host:=0.0.0.0                               # for other machines as well

It listens to a detector that runs already, and only while somebody looks at the page.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from amtnet_ros.ros import fastdds
from launch import LaunchContext, LaunchDescription

CONFIG = Path(get_package_share_directory("amtnet_ros"), "config")

ARGUMENTS = [
    DeclareLaunchArgument("image", default_value="/camera/image_raw", description="Topic of the camera's images."),
    DeclareLaunchArgument("tubes", default_value="action_tubes", description="Topic of the action tubes."),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the detector."),
    DeclareLaunchArgument(
        "compressed", default_value="false", choices=["true", "false"], description="Take IMAGE/compressed."
    ),
    DeclareLaunchArgument("host", default_value="127.0.0.1", description="Address to listen at; 0.0.0.0: all of them."),
    DeclareLaunchArgument("port", default_value="8765", description="Port of the page."),
    DeclareLaunchArgument(
        "use_sim_time", default_value="false", choices=["true", "false"], description="Take the time from /clock."
    ),
]


def viewer(context: LaunchContext) -> list[Node]:
    """The page, by the launch arguments."""
    value = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    page = ["--image", value["image"], "--view-host", value["host"], "--view-port", value["port"]]
    return [
        Node(
            package="amtnet_ros",
            executable="viewer",
            namespace=value["namespace"],
            arguments=[*page, *(["--compressed"] if value["compressed"] == "true" else [])],
            remappings=[("action_tubes", value["tubes"])],
            parameters=[{"use_sim_time": value["use_sim_time"] == "true"}],
            additional_env=fastdds.variables(CONFIG / "fastdds.xml"),
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=viewer)])
