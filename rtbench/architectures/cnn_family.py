"""What the convolutional networks of Handling Delay share: three convolutions, a fully connected layer, a head."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from rtbench.errors import SuiteError
from rtbench.graph import Convolution, GraphBuilder, LayerGraph, Read, Term
from rtbench.parts import Architecture, PolicyShape, param

if TYPE_CHECKING:
    from rtbench.cell import Cell

Family = Literal["minatar", "minigrid", "atari"]
Reads = list[Read | Term]
_STRIDED = (Convolution(8, 4), Convolution(4, 2), Convolution(3, 1))
CONVOLUTIONS: dict[Family, tuple[Convolution, ...]] = {
    "minatar": (Convolution(3, 1, 1),) * 3,
    "minigrid": _STRIDED,
    "atari": _STRIDED,
}
"""Kernels and strides; those of minigrid and atari as published code has them (Appendix E says kernel 3)."""


@dataclass(frozen=True)
class ConvolutionalParams:
    """Convolutions, width, recurrence, augmentation."""

    convolutions: Family = param("minatar", doc="kernels 3, 3, 3 keeping the size, or 8, 4, 3 with strides 4, 2, 1")
    channels: tuple[int, int, int] = param((32, 64, 64), unit="channels", doc="of the three convolutions")
    width: int = param(512, unit="neurons", doc="of the fully connected layer before the head")
    lstm: bool = param(False, doc="an LSTM cell in place of the fully connected layer before the head")
    frames: int = param(1, unit="frames", doc="newest observations, one tick apart, wherever one is read")
    last_action: Literal["none", "observation", "in-flight"] = param(
        "none",
        doc="last action into the last two layers: the one before the newest observation, or the one being applied",
    )


class Convolutional(Architecture):
    """A family of networks that differ in what skips layers; `Params` add to `ConvolutionalParams`."""

    Params = ConvolutionalParams
    name: ClassVar[str]
    """As it is registered."""
    example = PolicyShape(10 * 10 * 4, 6, 6, (10, 10, 4))  # MinAtar's Breakout

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """Positive sizes, a learner that trains convolutions."""
        p = cell.architecture.params
        for key, least in (("channels", min(p["channels"])), ("width", p["width"]), ("frames", p["frames"])):
            if least < 1:
                return f"architecture {cls.name}: {key} must be at least 1, got {p[key]}"
        if cell.learner.name in ("sac", "distillation"):
            return f"architecture {cls.name}: {cell.learner.name} trains no convolutions; ppo does"
        return None

    def make(self, shape: PolicyShape) -> LayerGraph:
        """The graph; SuiteError if observations are no images or too small."""
        place = f"architecture {self.name}"
        if shape.observation_shape is None:
            raise SuiteError(
                f"it reads images [height, width, channels], and an observation has {shape.observation_size} values",
                place=place,
                hint="`mlp` reads any observation",
            )
        try:
            return self._declared(
                shape, GraphBuilder(shape.observation_size, shape.action_size, shape.observation_shape)
            )
        except ValueError as error:
            given = f"images of {shape.observation_shape} and convolutions {self.params.convolutions!r}"
            raise SuiteError(
                f"{given} do not go together: {error}",
                place=place,
                allowed=sorted(CONVOLUTIONS),
            ) from error

    def _declared(self, shape: PolicyShape, graph: GraphBuilder) -> LayerGraph:
        p: ConvolutionalParams = self.params
        fresh = [graph.observation.ago(k) for k in range(p.frames)]
        past = {"none": [], "observation": [graph.action.ago(1)], "in-flight": [graph.action]}[p.last_action]
        features: list[Read] = []
        for convolution, channels in zip(CONVOLUTIONS[p.convolutions], p.channels, strict=True):
            reads = self._between(graph, fresh, features) if features else [*fresh]
            features.append(graph.convolution(channels, reads, convolution))
        to_wide, to_head = self._above(graph, fresh, features)
        wide = graph.layer(p.width, [*to_wide, *past], op="lstm" if p.lstm else "linear")
        return graph.head(shape.output_size, [*to_head, wide, *past])

    @abstractmethod
    def _between(self, graph: GraphBuilder, fresh: list[Read], features: list[Read]) -> Reads:
        """What the next convolution reads, given the newest observations and the convolutions below (lowest first)."""

    @abstractmethod
    def _above(self, graph: GraphBuilder, fresh: list[Read], features: list[Read]) -> tuple[Reads, Reads]:
        """What the fully connected layer reads, and the head besides that layer."""
