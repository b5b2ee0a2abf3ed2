"""The container files against the checkout: what they copy, skip and refer to is there."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def stages():
    return re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)


def test_what_is_copied_exists():
    sources = re.findall(r"^COPY (\S+) \S+$", DOCKERFILE, flags=re.MULTILINE)
    assert len(sources) == DOCKERFILE.count("\nCOPY ")
    assert all((ROOT / source).exists() for source in sources)


def test_what_rosdep_shall_skip_is_in_the_manifest():
    (skipped,) = re.findall(r'--skip-keys "([^"]+)"', DOCKERFILE)
    declared = {entry.text for entry in ElementTree.parse(ROOT / "package.xml").iter("exec_depend")}
    assert set(skipped.split()) <= declared


def test_the_development_container_is_a_stage_of_the_dockerfile():
    path = ROOT / ".devcontainer" / "devcontainer.json"
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("//")]
    container = json.loads("\n".join(lines))
    assert (path.parent / container["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert container["build"]["target"] in stages()
    assert (ROOT / container["containerEnv"]["FASTRTPS_DEFAULT_PROFILES_FILE"].split("amtnet_ros/")[1]).exists()


def test_the_documented_stage_exists():
    for text in (DOCKERFILE, (ROOT / "docs" / "install.md").read_text()):
        assert set(re.findall(r"docker build --target (\S+)", text)) <= set(stages())
