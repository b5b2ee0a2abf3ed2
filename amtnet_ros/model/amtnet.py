"""The two networks over trunks and their fusion: Two-Stream AMTnet, and a classifier that teaches a trunk first."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from amtnet_ros.model.heads import MicroTubeHeads
from amtnet_ros.model.priors import decode_micro_tubes, make_priors
from amtnet_ros.model.streams import NetworkOptions, Streams

POOLED_MAPS = (1, 2)
"""The fused maps, of strides 16 and 32, whose means the classifier looks at: the priors of most actors lie there."""


class AMTnet(Streams):
    """The network over pairs of frames, in the split form: `encode` a frame once, combine any two by `pair`."""

    priors: Tensor

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__(options)
        self.heads = MicroTubeHeads(self.channels, options.n_classes)
        self.register_buffer("priors", torch.from_numpy(make_priors(options.image_size, self.cells)), persistent=False)

    def encode(self, rgb: Tensor | None, flow: Tensor | None) -> tuple[Tensor, Tensor]:
        """A frame's shares as first and as second of a pair, each (B, M, n_classes + 1 + 8); inputs as `features`."""
        first, second = self.heads(self.features(rgb, flow))
        return first, second

    def pair(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Shares of the two frames → logits (B, M, n_classes + 1), index 0 the background, and offsets (B, M, 8)."""
        return self._parts(first + second)

    def _parts(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return rows[..., : self.heads.n_logits], rows[..., self.heads.n_logits :]

    def forward(self, rgb: Tensor | None, flow: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits and offsets of a batch of pairs, for training.

        rgb: (B, n, 3, S, S) and flow: (B, n, 15, S, S), the n = 2 frames of each pair; n = 1 pairs a frame with itself.
        """
        given = rgb if rgb is not None else flow
        assert given is not None
        batch, n = given.shape[:2]
        # All frames pass the trunks as one batch: those at t first, then those at t + delta.
        by_frame = [None if x is None else x.transpose(0, 1).flatten(0, 1) for x in (rgb, flow)]
        maps = self.features(by_frame[0], by_frame[1])
        if n == 1:
            return self._parts(self.heads.with_itself(maps))
        first = self.heads.share([x[:batch] for x in maps], "first")
        return self.pair(first, self.heads.share([x[batch:] for x in maps], "second"))

    def decode(self, logits: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Scores without the background (B, M, n_classes); micro-tubes (B, M, 2, 4), corners, shares of the input."""
        return logits.softmax(-1)[..., 1:], decode_micro_tubes(offsets, self.priors)


class ActorClassifier(Streams):
    """Names the action of the one actor that a close-up shows: a linear layer on the means of two fused maps.

    So a trunk learns actions from few pixels before it learns to find actors.
    """

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__(options)
        self.classify = nn.Linear(sum(self.channels[k] for k in POOLED_MAPS), options.n_classes)

    def forward(self, rgb: Tensor | None, flow: Tensor | None) -> Tensor:
        """Class logits (B, n_classes), the mean over the frames of each sample.

        rgb: (B, n, 3, S, S) and flow: (B, n, 15, S, S), values 0..255 (any float dtype); None for a stream not given.
        """
        given = rgb if rgb is not None else flow
        assert given is not None
        batch, n = given.shape[:2]
        by_frame = [None if x is None else x.flatten(0, 1) for x in (rgb, flow)]
        maps = self.features(by_frame[0], by_frame[1])
        pooled = torch.cat([maps[k].mean((2, 3)) for k in POOLED_MAPS], dim=1)
        logits: Tensor = self.classify(pooled)
        return logits.view(batch, n, -1).mean(1)
