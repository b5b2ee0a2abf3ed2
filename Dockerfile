# ROS 2 Jazzy with the detector, for an NVIDIA GPU; without one it runs on the CPU. docs/install.md says how to use it.
#
#     docker build --target robot --tag amtnet_ros .
#     docker run --rm --gpus all --network host --ipc host amtnet_ros image:=/camera/image_raw

FROM ros:jazzy-ros-base AS dependencies
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore DEBIAN_FRONTEND=noninteractive
WORKDIR /ws
# The manifest and the pins alone: a change of the code reuses these layers. ONNX Runtime is the GPU build, further down.
COPY package.xml src/amtnet_ros/
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-av python3-pip \
    && rosdep update --rosdistro jazzy \
    && rosdep install --from-paths src --ignore-src --default-yes --skip-keys "python3-onnxruntime-pip" \
    && rm -rf /var/lib/apt/lists/*
# NumPy stays the one that cv_bridge was built with. ONNX Runtime finds the CUDA libraries of the wheels by the loader. On
# arm64 there is no GPU build on PyPI: docs/arm64.md.
COPY dev/requirements/gpu.txt src/amtnet_ros/dev/requirements/
RUN if [ "$(dpkg --print-architecture)" = amd64 ]; then \
        pip install --requirement src/amtnet_ros/dev/requirements/gpu.txt "numpy<2" \
        && ls -d /usr/local/lib/python3.12/dist-packages/nvidia/*/lib > /etc/ld.so.conf.d/nvidia-wheels.conf \
        && ldconfig; \
    else \
        pip install onnxruntime "numpy<2"; \
    fi
# What the NVIDIA container runtime hands in: CUDA, and the driver's management library for the memory in /diagnostics.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM dependencies AS robot
COPY . src/amtnet_ros
RUN . /opt/ros/jazzy/setup.sh && colcon build --packages-select amtnet_ros && rm -rf build log
ENV FASTRTPS_DEFAULT_PROFILES_FILE=/ws/install/amtnet_ros/share/amtnet_ros/config/fastdds.xml
RUN printf '#!/bin/bash\n. /ws/install/setup.bash\nexec ros2 launch amtnet_ros detector.launch.py "$@"\n' > /detect \
    && chmod +x /detect
ENTRYPOINT ["/detect"]

# For .devcontainer: RViz, and the tools that the tests need; the checkout is mounted into the workspace.
FROM dependencies AS development
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        git python3-colcon-common-extensions python3-dev python3-venv ros-jazzy-rviz2 sudo \
    && rm -rf /var/lib/apt/lists/*
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics,display
