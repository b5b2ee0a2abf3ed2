"""Example: two cameras, front and back, and one detector for both: the model is in memory once.

Tubes come on /front/action_tubes and /back/action_tubes.

    ros2 launch amtnet_ros two_cameras_one_detector.launch.py front_image:=/front/image_raw back_image:=/back/image_raw
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from amtnet_ros.ros import fastdds
from launch import LaunchContext, LaunchDescription

CONFIG = Path(get_package_share_directory("amtnet_ros"), "config")
CAMERAS = ("front", "back")

ARGUMENTS = [
    *[
        DeclareLaunchArgument(
            f"{camera}_image", default_value=f"/{camera}/image_raw", description=f"Images of the {camera} camera."
        )
        for camera in CAMERAS
    ],
    DeclareLaunchArgument(
        "params_file",
        default_value=str(CONFIG / "detector.yaml"),
        description="YAML file with the detector's parameters.",
    ),
    DeclareLaunchArgument(
        "model", default_value="", description="Name or folder of the model. Empty: as params_file says."
    ),
    DeclareLaunchArgument(
        "device", default_value="", description="auto, cpu, cuda, cuda:1 or tensorrt. Empty: as params_file says."
    ),
    DeclareLaunchArgument(
        "rviz", default_value="false", choices=["true", "false"], description="Show the front camera in RViz."
    ),
    DeclareLaunchArgument(
        "rviz_frame", default_value="", description="Fixed frame of RViz. Empty: that of the first front image."
    ),
]


def nodes(context: LaunchContext) -> list[Node]:
    """The detector and RViz, by the launch arguments."""
    value = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    if not Path(value["params_file"]).is_file():
        raise RuntimeError(f"params_file: there is no file {value['params_file']}")
    given = {name: value[name] for name in ("model", "device") if value[name]}
    detector = Node(
        package="amtnet_ros",
        executable="detector",
        name="detector",
        parameters=[value["params_file"], {"cameras": list(CAMERAS), "autostart": True, **given}],
        remappings=[(f"{camera}/image", value[f"{camera}_image"]) for camera in CAMERAS],
        additional_env=fastdds.variables(CONFIG / "fastdds.xml"),
        respawn=True,
        respawn_delay=2.0,
        output="screen",
        emulate_tty=True,
    )
    front = CAMERAS[0]
    fixed = ["--fixed-frame", value["rviz_frame"]] if value["rviz_frame"] else []
    shown = [(f"/detector/{topic}", f"/detector/{front}/{topic}") for topic in ("debug_image", "markers")]
    rviz = Node(
        package="amtnet_ros",
        executable="rviz",
        name="detector_rviz",
        remappings=[*shown, ("action_tubes", f"{front}/action_tubes")],
        arguments=["--display-config", str(CONFIG / "detector.rviz"), *fixed],
        condition=IfCondition(value["rviz"]),
        output="log",
    )
    return [detector, rviz]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=nodes)])
