"""One camera, one detector, and RViz on request.

    ros2 launch amtnet_ros detector.launch.py image:=/camera/image_raw rviz:=true
    ros2 launch amtnet_ros detector.launch.py --show-args

So that no image is lost, the detector gets the Fast DDS profile in config/; start the camera with it as well.

Other launch files include it, once for each camera, with a namespace each, in a group of its own, or its arguments
become those of all that is started after it: see two_cameras.launch.py.
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
BOOLEANS = ["true", "false"]

ARGUMENTS = [
    DeclareLaunchArgument("image", default_value="/camera/image_raw", description="Topic of the camera's images."),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node and of what it publishes."),
    DeclareLaunchArgument("name", default_value="detector", description="Name of the node."),
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
        "autostart",
        default_value="true",
        choices=BOOLEANS,
        description="Configure and activate; else a lifecycle manager does.",
    ),
    DeclareLaunchArgument(
        "bond",
        default_value="",
        choices=["", *BOOLEANS],
        description="Form a bond with Nav2's lifecycle manager. Empty: as params_file says.",
    ),
    DeclareLaunchArgument(
        "use_sim_time", default_value="false", choices=BOOLEANS, description="Take the time from /clock."
    ),
    DeclareLaunchArgument(
        "respawn", default_value="true", choices=BOOLEANS, description="Start the detector again if it dies."
    ),
    DeclareLaunchArgument("enclave", default_value="", description="Security enclave (SROS2). Empty: none."),
    DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error or fatal."),
    DeclareLaunchArgument(
        "rviz", default_value="false", choices=BOOLEANS, description="Show images and tubes in RViz."
    ),
    DeclareLaunchArgument("rviz_config", default_value=str(CONFIG / "detector.rviz"), description="What RViz shows."),
    DeclareLaunchArgument(
        "rviz_frame", default_value="", description="Fixed frame of RViz. Empty: that of the first image."
    ),
]


def nodes(context: LaunchContext) -> list[Node]:
    """The detector and RViz, by the launch arguments."""
    value = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    if not Path(value["params_file"]).is_file():
        raise RuntimeError(f"params_file: there is no file {value['params_file']}")
    given = {name: value[name] for name in ("model", "device") if value[name]}
    enclave = ["--enclave", value["enclave"]] if value["enclave"] else []
    switches = {name: value[name] == "true" for name in ("autostart", "use_sim_time")}
    if value["bond"]:
        switches["bond"] = value["bond"] == "true"
    detector = Node(
        package="amtnet_ros",
        executable="detector",
        name=value["name"],
        namespace=value["namespace"],
        parameters=[value["params_file"], {**switches, **given}],
        remappings=[("image", value["image"])],
        arguments=["--ros-args", "--log-level", value["log_level"], *enclave],
        additional_env=fastdds.variables(CONFIG / "fastdds.xml"),
        respawn=value["respawn"] == "true",
        respawn_delay=2.0,
        output="screen",
        emulate_tty=True,
    )
    own = "/".join(["", *filter(None, value["namespace"].split("/")), value["name"]])
    fixed = ["--fixed-frame", value["rviz_frame"]] if value["rviz_frame"] else []
    rviz = Node(
        package="amtnet_ros",
        executable="rviz",
        name=f"{value['name']}_rviz",
        namespace=value["namespace"],
        parameters=[{"use_sim_time": switches["use_sim_time"]}],
        remappings=[(f"/detector/{topic}", f"{own}/{topic}") for topic in ("debug_image", "markers")],
        arguments=["--display-config", value["rviz_config"], *fixed],
        condition=IfCondition(value["rviz"]),
        output="log",
    )
    return [detector, rviz]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=nodes)])
