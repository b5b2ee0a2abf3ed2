"""Record what the detector says on the test clips of J-HMDB-21 split 1, or compare it with an earlier recording.

    .venv/bin/python dev/compare_tubes.py record /tmp/before.json [--every 10]
    .venv/bin/python dev/compare_tubes.py compare /tmp/before.json

For changes that must change nothing: every box, score, state and label of every update, in both modes of the linker,
with the options that `amtnet eval` links with, at delta 1 and in int8. Numbers are compared bit by bit. A comparison
watches the clips that were recorded: tubes are numbered through, so those of one clip depend on the clips before it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from amtnet_ros.contracts import TubeUpdate
from amtnet_ros.data.jhmdb21 import read_jhmdb21
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import Pipeline, PipelineOptions
from amtnet_ros.tubes import PER_CLASS

SECOND = 1_000_000_000
DATA = Path(os.environ.get("AMTNET_DATA", "../shared/data"))


def digest(updates: list[TubeUpdate]) -> tuple[int, str]:
    """How many boxes the updates hold, and a hash over all that they say."""
    boxes, content = 0, hashlib.sha256()
    for update in updates:
        content.update(repr((update.frame, update.stamp, update.image_size, update.delta)).encode())
        for tube in update.tubes:
            content.update(repr((tube.id, int(tube.state), tube.label, tube.score)).encode())
            content.update(repr((tube.start_stamp, tube.last_stamp)).encode())
            for array in (tube.class_scores, tube.frames, tube.stamps, tube.boxes, tube.scores, tube.interpolated):
                content.update(array.tobytes())
            boxes += len(tube.boxes)
    return boxes, content.hexdigest()


def watch(every: int) -> dict[str, list[tuple[int, str]]]:
    """Clip → boxes and hash, in each mode."""
    dataset = read_jhmdb21(DATA / "jhmdb21", 1)
    pipelines = [
        Pipeline.from_model("light", "cpu", PipelineOptions(delta=1, linker=replace(PER_CLASS, mode=mode)), "int8")
        for mode in ("actor", "per_class")
    ]
    found = {}
    for name in track(dataset.test[::every], "watching", console=Console(stderr=True)):
        images = list(open_source(str(dataset.videos[name].path)))
        said = []
        for pipeline in pipelines:
            updates = [u for i, image in enumerate(images) for u in pipeline.push(round(i * SECOND / 30), image)]
            said.append(digest([*updates, *pipeline.finish()]))
            pipeline.reset()
        found[name] = said
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Record tubes, or compare them with a recording.")
    parser.add_argument("action", choices=("record", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="record only every N-th clip")
    arguments = parser.parse_args()
    recorded = json.loads(arguments.file.read_text()) if arguments.action == "compare" else {"every": arguments.every}
    found = watch(recorded["every"])
    boxes = sum(count for said in found.values() for count, _ in said)
    if arguments.action == "record":
        arguments.file.write_text(json.dumps({**recorded, "clips": found}, indent=1) + "\n")
        print(f"{len(found)} clips, {boxes} boxes in both modes: {arguments.file}")
        return 0
    before = recorded["clips"]
    differ = [name for name, said in found.items() if [list(one) for one in said] != before[name]]
    print(f"{len(found)} clips, {boxes} boxes in both modes: {len(found) - len(differ)} clips identical", *differ[:5])
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
