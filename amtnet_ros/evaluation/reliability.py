"""Whether what is said with a score of 0.6 is right six times in ten."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amtnet_ros.contracts import Bool, Float32
from amtnet_ros.files import WholeFile

Float64 = NDArray[np.float64]


class Reliability(NamedTuple):
    """By bins of the score, those without moments left out: mean score, share that is right, moments (weighed)."""

    said: Float64
    right: Float64
    moments: Float64

    @property
    def error(self) -> float:
        """The expected calibration error (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017)."""
        return float(np.average(np.abs(self.said - self.right), weights=self.moments))


def reliability(scores: Float64 | Float32, right: Bool, weights: Float64 | None = None, bins: int = 10) -> Reliability:
    """scores: (N,) in 0..1, of what was said; right: (N,), whether it was."""
    weights = np.ones(len(scores)) if weights is None else weights
    place = np.minimum((scores * bins).astype(np.int64), bins - 1)
    total, said, hit = (np.bincount(place, weights=weights * x, minlength=bins) for x in (1.0, scores, right))
    some = total > 0
    return Reliability(said[some] / total[some], hit[some] / total[some], total[some].astype(np.float64))


def plot_reliability(found: Mapping[str, Reliability], file: Path, title: str) -> None:
    """A line for each name: the share that is right over the score; the diagonal is right as often as it says. A PNG.

    Points are the larger the more was said. Raises UserError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--")
    for name, of in found.items():
        (line,) = axes.plot(of.said, of.right, linewidth=1.2, label=f"{name}: error {of.error:.2f}")
        sizes = 12 + 200 * of.moments / of.moments.sum()
        axes.scatter(of.said, of.right, s=sizes, color=line.get_color(), alpha=0.6)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="score with which an action is claimed", ylabel="share that is right")
    axes.set_title(title, fontsize="medium")
    axes.legend(loc="upper left")
    with WholeFile(file) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
