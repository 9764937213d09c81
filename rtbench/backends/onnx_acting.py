"""Acting by a session of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
import torch

from rtbench.backends.frames import FrameActing
from rtbench.backends.onnx_model import VALUES, ago, model
from rtbench.backends.weights import Weights
from rtbench.graph import ActingSpec

_QUIET = 3
"""ONNX Runtime's level of errors only."""


class OnnxActing(FrameActing):
    """One run of the session per tick; it reads the frames where they lie."""

    def __init__(self, spec: ActingSpec, parameters: Mapping[str, Any]) -> None:
        super().__init__(spec, parameters)
        self._weights = Weights(parameters, fixed=spec.fixed)
        first = self.layout.places[0].offset
        self._values = slice(first, first + sum(place.layer.state_width for place in self.layout.places))
        self._build()

    def _build(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
        options.log_severity_level = _QUIET
        described = model(self.layout, self._weights.taken, self._batch).SerializeToString()
        self._session = onnxruntime.InferenceSession(described, options, providers=["CPUExecutionProvider"])
        self._ticks = [k for k in range(self.layout.depth) if ago(k) in {i.name for i in self._session.get_inputs()}]

    def refresh(self) -> None:
        """Take the parameters as they are now."""
        self._weights.take()
        self._build()

    def advance(self, slot: int) -> None:
        """The session, over the frames."""
        if self._weights.changed():
            self._build()
        depth = self.layout.depth
        given = {ago(ticks): np.ascontiguousarray(self.frames[:, (slot - ticks) % depth]) for ticks in self._ticks}
        (values,) = self._session.run([VALUES], given)
        self.frames[:, slot, self._values] = values
