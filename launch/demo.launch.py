"""A video as a camera, the detector, and RViz.

ros2 launch amtnet_ros demo.launch.py                    # a clip that is downloaded once
ros2 launch amtnet_ros demo.launch.py video:=my.mp4      # or a folder of images, or the number of a webcam
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from amtnet_ros.cli.demo_clip import demo_clip
from amtnet_ros.ros import fastdds
from launch import LaunchContext, LaunchDescription

SHARE = Path(get_package_share_directory("amtnet_ros"))
IMAGE = "/camera/image_raw"

ARGUMENTS = [
    DeclareLaunchArgument(
        "video", default_value="", description="Video, folder of images, or webcam number. Empty: a clip."
    ),
    DeclareLaunchArgument(
        "loop", default_value="true", choices=["true", "false"], description="Play it again and again."
    ),
    DeclareLaunchArgument(
        "model", default_value="", description="Name or folder of the model. Empty: the detector's default."
    ),
    DeclareLaunchArgument("device", default_value="", description="auto, cpu, cuda, cuda:1 or tensorrt. Empty: auto."),
    DeclareLaunchArgument("rviz", default_value="true", choices=["true", "false"], description="Show it in RViz."),
]


def player(context: LaunchContext) -> list[Node]:
    """The camera: waits for the detector, then plays."""
    source = LaunchConfiguration("video").perform(context) or str(demo_clip())
    loop = ["--loop"] if LaunchConfiguration("loop").perform(context) == "true" else []
    arguments = [source, "--topic", IMAGE, "--wait", "120", *loop]
    profile = fastdds.variables(SHARE / "config" / "fastdds.xml")
    return [
        Node(package="amtnet_ros", executable="player", arguments=arguments, output="screen", additional_env=profile)
    ]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    detector = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "detector.launch.py")),
        launch_arguments={
            "image": IMAGE,
            **{name: LaunchConfiguration(name) for name in ("model", "device", "rviz")},
        }.items(),
    )
    return LaunchDescription([*ARGUMENTS, GroupAction([detector]), OpaqueFunction(function=player)])
