"""How the actor stream does with people whom it was not taught."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from amtnet_ros.contracts import UInt8
from amtnet_ros.data.actor_clips import plain_clip
from amtnet_ros.data.actor_tracks import OTHER, PersonTrack, Tracks, few_of_each
from amtnet_ros.data.jpeg_store import JpegStore
from amtnet_ros.model.movinet import IMAGE_SIZE, MoViNet
from amtnet_ros.training.actor_learner import as_input

LAST_SECOND = 10
"""Pictures over which features are averaged."""
LEAST_FRAMES = 15
OF_A_CLASS = 8
"""So many people of each class that is not J-HMDB's are looked at."""


@dataclass(frozen=True)
class ActorValidation:
    """Shares in 0..1, of clips. named: J-HMDB clips whose actor's action is the likeliest of the 21; named_open: the
    likeliest of all answers; named_whole: `named` by whole pictures; named_both: by both together. Of people who do
    none of the 21, those said to do one: still (in J-HMDB clips that stand still), others (of taught classes), unseen
    (of classes never taught). kept_name: J-HMDB clips whose likeliest of the 600 names is that of the untaught network.
    """

    named: float
    named_open: float
    named_whole: float
    named_both: float
    claimed_still: float
    claimed_others: float
    claimed_unseen: float
    kept_name: float


class ActorValidator:
    """Looks at the same clips each time."""

    def __init__(self, tracks: Tracks, store: JpegStore, untaught: MoViNet) -> None:
        """untaught: the network before its first step; it is only asked here."""
        self._classes, self._store = tracks.classes, store
        long = [track for track in tracks.held_out if len(track.boxes) >= LEAST_FRAMES]
        self._actors = [track for track in long if track.source[0] == "jhmdb21"]
        self._others = few_of_each([track for track in long if track.answers == (OTHER,)], OF_A_CLASS)
        unseen = [track for track in tracks.unseen if len(track.boxes) >= LEAST_FRAMES]
        self._unseen = few_of_each(unseen, OF_A_CLASS)
        self._names = self._ask(untaught, self._actors, "person")[1].argmax(dim=1)

    def validate(self, network: MoViNet) -> ActorValidation:
        """network: in evaluation mode."""
        known = len(self._classes)
        labels = torch.tensor([self._classes.index(track.answers[0]) for track in self._actors])
        person, names = self._ask(network, self._actors, "person")
        whole, _ = self._ask(network, self._actors, "whole")

        def named(scores: Tensor) -> float:
            return _share(scores.argmax(dim=1) == labels)

        def claimed(tracks: Sequence[PersonTrack], view: str) -> float:
            return _share(self._ask(network, tracks, view)[0].argmax(dim=1) < known)

        return ActorValidation(
            named=named(person[:, :known]),
            named_open=named(person),
            named_whole=named(whole[:, :known]),
            named_both=named(person[:, :known] + whole[:, :known]),
            claimed_still=claimed(self._actors, "still"),
            claimed_others=claimed(self._others, "person"),
            claimed_unseen=claimed(self._unseen, "person"),
            kept_name=_share(names.argmax(dim=1) == self._names),
        )

    def _ask(self, network: MoViNet, tracks: Sequence[PersonTrack], view: str) -> tuple[Tensor, Tensor]:
        """Probabilities of the answers (n, a) and of the names (n, 600), from the last second of each."""
        return say_of_clips(network, (plain_clip(track, self._store, IMAGE_SIZE, view) for track in tracks))


@torch.no_grad()
def say_of_clips(network: MoViNet, clips: Iterable[UInt8]) -> tuple[Tensor, Tensor]:
    """Probabilities of the answers (n, a) and of the names (n, 600), after the last picture of each (T, s, s, 3)."""
    answers, names = [], []
    for pictures in clips:
        features = network.features(as_input(torch.from_numpy(pictures)[None]))
        said = network.say(features[:, -LAST_SECOND:].mean(dim=1))
        answers.append(said.answers.softmax(dim=1))
        names.append(said.names.softmax(dim=1))
    return torch.cat(answers), torch.cat(names)


def _share(right: Tensor) -> float:
    return float(right.float().mean()) if len(right) else 0.0
