"""Model folders are written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from amtnet_ros.errors import UserError
from amtnet_ros.files import whole_folder, write_whole
from amtnet_ros.inference.card import CARD, ModelCard, content_of, read_card
from amtnet_ros.inference.graph_file import file_hash


@contextmanager
def new_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which takes its name when all went well; until then, and otherwise, nothing is there."""
    if folder.exists() and not (overwrite and (folder / CARD).is_file()):
        hint = "give --overwrite to replace it" if (folder / CARD).is_file() else "it is not a model folder"
        raise UserError(f"{folder}: exists already; {hint}")
    with whole_folder(folder) as partial:
        yield partial


def write_card(folder: Path, card: ModelCard) -> ModelCard:
    """Write the card with the hashes of all other files in the folder; returns the card as written."""
    files = [path for path in sorted(folder.iterdir()) if path.name != CARD and not path.name.startswith(".")]
    card = replace(card, files={path.name: file_hash(path) for path in files})
    write_whole(folder / CARD, json.dumps(content_of(card), indent=2, ensure_ascii=False) + "\n")
    return card


def record_accuracy(folder: Path, measured: Mapping[str, float], int8: bool = False) -> ModelCard:
    """Add measured figures to a model's card, e.g. {"jhmdb21:1 video-mAP@0.5 act": 0.51}; int8: of its int8 form.

    Raises UserError where the model has no int8 form.
    """
    card = read_card(folder)
    if not int8:
        return write_card(folder, replace(card, accuracy={**card.accuracy, **measured}))
    if card.int8 is None:
        raise UserError(f"{folder}: has no int8 form; make it by `amtnet quantise`")
    form = replace(card.int8, accuracy={**card.int8.accuracy, **measured})
    return write_card(folder, replace(card, int8=form))
