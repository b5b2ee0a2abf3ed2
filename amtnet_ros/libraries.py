"""Libraries that only some commands need: imported where they are used, with one line on how to get a missing one.

The detector needs none of them: NumPy, OpenCV, ONNX Runtime and ROS are all that it imports.
"""

from __future__ import annotations

import importlib
from typing import Any

from amtnet_ros.errors import UserError

INSTALL = {
    "av": "sudo apt install python3-av, or pip install av",
    "click": "sudo apt install python3-click, or pip install click",
    "duckdb": "pip install 'amtnet_ros[archive]', or pip install duckdb",
    "fsspec": "pip install 'amtnet_ros[archive]', or pip install fsspec",
    "matplotlib": "sudo apt install python3-matplotlib, or pip install matplotlib",
    "mcap": "pip install mcap",
    "onnx": "pip install onnx",
    "onnxscript": "pip install onnxscript",
    "pyarrow": "pip install 'amtnet_ros[archive]', or pip install pyarrow",
    "pydantic": "pip install 'pydantic>=2'",
    "rerun": "pip install 'rerun-sdk>=0.41'",
    "ray": "pip install 'amtnet_ros[archive]', or pip install ray",
    "rich": "sudo apt install python3-rich, or pip install rich",
    "rosbags": "pip install 'amtnet_ros[archive]', or pip install rosbags",
    "scipy": "sudo apt install python3-scipy, or pip install scipy",
    "tensorboard": "pip install tensorboard",
    "torch": "pip install torch torchvision",
    "torchvision": "pip install torch torchvision",
    "werkzeug": "sudo apt install python3-werkzeug, or pip install werkzeug",
    "yaml": "sudo apt install python3-yaml, or pip install pyyaml",
}
"""How to get a module, by its name. A robot has apt; where there is none, pip does."""


def library(name: str, purpose: str) -> Any:
    """Import a module of `INSTALL`. purpose: what needs it, as the subject of a sentence.

    Raises UserError where it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise missing(error, purpose) from error


def missing(error: ImportError, purpose: str) -> Exception:
    """What to raise instead: how to get the module, if that is known, else the error itself.

    apt has pydantic 1 on Ubuntu 22.04 and 24.04: there a name that is asked of it is not in it.
    """
    module = (error.name or "").split(".")[0]
    if module not in INSTALL:
        return error
    lack = "not installed here" if isinstance(error, ModuleNotFoundError) else "too old here"
    return UserError(f"{purpose} needs the Python package {module}, {lack}: {INSTALL[module]}")
