"""Plain data as bytes: what goes in comes back, no damaged bit passes, nothing is executed."""

from __future__ import annotations

import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rtbench.learners.packing import DTYPES, MAGIC, pack, unpack


def packed(value: Any) -> bytearray:
    return bytearray(b"".join(pack(value)))


NUMBERS = st.none() | st.booleans() | st.integers(-(2**130), 2**130) | st.floats(allow_nan=False) | st.text(max_size=5)
NDARRAYS = st.sampled_from(["bool", "int8", "uint16", "int64", "float16", "float32", "float64"]).flatmap(
    lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)
VALUES = st.recursive(
    NUMBERS | NDARRAYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Equal in value, type, shape and kind, bit for bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    return type(one) is type(other) and one == other


@given(VALUES)
@settings(max_examples=150, deadline=None)
def test_what_goes_in_comes_back(value: Any) -> None:
    assert same(value, unpack(packed(value)))


def test_what_is_not_a_number_comes_back_too() -> None:
    back = unpack(packed([math.nan, math.inf, -math.inf, -0.0]))
    assert math.isnan(back[0])
    assert back[1:3] == [math.inf, -math.inf]
    assert math.copysign(1, back[3]) == -1


def test_tuples_become_lists_and_numpy_numbers_pythons() -> None:
    back = unpack(packed({"a": (1, (2, 3)), "b": np.float32(0.5), "c": np.bool_(True), "d": np.int64(7)}))
    assert back == {"a": [1, [2, 3]], "b": 0.5, "c": True, "d": 7}
    assert [type(back[key]) for key in "bcd"] == [float, bool, int]


@pytest.mark.parametrize("dtype", [name for name in DTYPES if not name.startswith("uint") or name == "uint8"])
def test_tensors_of_every_kind(dtype: str) -> None:
    kind = getattr(torch, dtype)
    for tensor in (
        torch.arange(6).reshape(2, 3).to(kind).t(),
        torch.ones((), dtype=kind),
        torch.zeros(0, 2, dtype=kind),
    ):
        back = unpack(packed([tensor]))[0]
        assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(back, tensor)


def test_a_view_writes_only_what_it_sees_and_arrays_are_not_copied() -> None:
    big = torch.zeros(1000, 1000)
    assert len(packed({"x": big[3]})) < 10_000
    array = np.arange(1000)
    assert any(isinstance(piece, memoryview) and np.shares_memory(np.asarray(piece), array) for piece in pack([array]))


def test_what_comes_back_can_be_written_to() -> None:
    back = unpack(packed([np.zeros(3), torch.zeros(3)]))
    back[0] += 1
    back[1] += 1
    assert back[0].tolist() == back[1].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "value", [{1: 2}, {"<array>": 0}, {"<tensor>": 0}, object(), {1, 2}, np.array([None]), b"x", 1j]
)
def test_what_is_no_plain_data_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot hold"):
        pack({"x": value})


def test_every_flipped_bit_and_every_cut_is_found() -> None:
    content = packed({"a": np.arange(5), "b": [1, "two", torch.ones(2)]})
    for bit in range(8 * len(content)):
        content[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="it is"):
            unpack(content)
        content[bit // 8] ^= 1 << bit % 8
    for length in range(len(content)):
        with pytest.raises(ValueError, match="it is"):
            unpack(content[:length])
    with pytest.raises(ValueError, match="damaged"):
        unpack(content + b"\0")


class Malice:
    """A pickle that leaves a mark where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def malicious(mark: Path, how: str) -> bytes:
    """Bytes that run code in a reader that unpickles: as they are, or inside what torch.save writes."""
    if how == "pickle":
        return pickle.dumps(Malice(mark))
    path = mark.with_suffix(".pt")
    torch.save({"format": 3, "program": Malice(mark), "segments": [], "extra": {}}, path)
    return path.read_bytes()


@pytest.mark.parametrize("how", ["pickle", "torch"])
@pytest.mark.parametrize("head", [b"", MAGIC])
def test_code_is_not_run(tmp_path: Path, how: str, head: bytes) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(ValueError, match="it is"):
        unpack(bytearray(head + malicious(mark, how)))
    assert not mark.exists()


@given(st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)))
@settings(max_examples=60, deadline=None)
def test_a_right_digest_over_a_wrong_header_is_told_in_words(value: Any) -> None:
    """Whoever writes a digest can write anything behind it: still it is data or a ValueError."""
    import hashlib
    import json

    for header in (value, {"value": value, "arrays": value}, {"value": {"<array>": value}, "arrays": [["int8", [1]]]}):
        text = json.dumps(header).encode()
        body = len(text).to_bytes(8, "little") + text
        try:
            unpack(bytearray(MAGIC + hashlib.sha256(body).digest() + body))
        except ValueError:
            continue
