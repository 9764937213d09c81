"""Nested plain data as bytes and back: JSON for its structure, raw arrays behind it, a digest over all of it.

    8 bytes      MAGIC
    32 bytes     SHA-256 of everything that follows
    8 bytes      length of the JSON, little endian
    JSON         {"value": …, "arrays": [[dtype, shape], …]}, in `value` an array is {"<array>": its number}
    arrays       in their order, C-contiguous, each after padding to a multiple of 64 bytes from the JSON's start

Nothing in it is code: reading builds numbers, texts, lists, dictionaries, arrays and tensors, and no other object.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"rtbench\x03"
_DIGEST = slice(len(MAGIC), len(MAGIC) + 32)
_LENGTH = slice(_DIGEST.stop, _DIGEST.stop + 8)
_ALIGNMENT = 64
_ARRAY, _TENSOR = "<array>", "<tensor>"
_DTYPES = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)), "float16", "float32")
DTYPES = (*_DTYPES, "float64", "bfloat16")
"""Kinds of numbers; bfloat16 in tensors only."""

Piece = bytes | memoryview


def pack(value: Any) -> list[Piece]:
    """The pieces of a file that holds the value; arrays and tensors on a CPU are not copied, so write them at once.

    TypeError for a value that is no plain data. Tuples come back as lists, NumPy's numbers as Python's.
    """
    arrays: list[tuple[str, NDArray[Any]]] = []
    tree = _flat(value, arrays)
    shapes = [[dtype, list(array.shape)] for dtype, array in arrays]
    text = json.dumps({"value": tree, "arrays": shapes}, separators=(",", ":")).encode()
    body: list[Piece] = [len(text).to_bytes(8, "little"), text]
    at = len(text)
    for _, array in arrays:
        raw = array.reshape(-1).view(np.uint8).data
        body += [bytes(-at % _ALIGNMENT), raw]
        at += -at % _ALIGNMENT + raw.nbytes
    digest = hashlib.sha256()
    for piece in body:
        digest.update(piece)
    return [MAGIC, digest.digest(), *body]


def unpack(content: bytearray) -> Any:
    """The value, whose arrays and tensors are views of `content`; ValueError if a single bit is not as it was written.

    Also ValueError for what `pack` has not written.
    """
    if content[: len(MAGIC)] != MAGIC:
        raise ValueError("it is no checkpoint file of this version of rtbench")
    view = memoryview(content)
    if len(content) < _LENGTH.stop or hashlib.sha256(view[_LENGTH.start :]).digest() != content[_DIGEST]:
        raise ValueError("it is damaged: its content is not what was written")
    try:
        body = view[_LENGTH.stop :]
        end = int.from_bytes(content[_LENGTH], "little")
        header = json.loads(bytes(body[:end]))
        arrays = _arrays(header["arrays"], body, end)
        return _nested(header["value"], arrays)
    except (TypeError, AttributeError, LookupError, OverflowError, RecursionError) as error:
        raise ValueError(f"it is no checkpoint file: {error}") from None


def _flat(value: Any, arrays: list[tuple[str, NDArray[Any]]]) -> Any:
    """JSON's part of a value; its arrays are added to `arrays`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key in (_ARRAY, _TENSOR):
                raise TypeError(f"a checkpoint cannot hold the key {key!r}")
        return {key: _flat(item, arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_flat(item, arrays) for item in value]
    if isinstance(value, np.generic):
        return _flat(value.item(), arrays)
    mark = _ARRAY if isinstance(value, np.ndarray) else _TENSOR
    dtype, array = (str(value.dtype), value) if mark == _ARRAY else _of_tensor(value)
    if dtype not in DTYPES:
        raise TypeError(f"a checkpoint cannot hold an array of {dtype}")
    arrays.append((dtype, np.asarray(array, order="C")))
    return {mark: len(arrays) - 1}


def _of_tensor(value: Any) -> tuple[str, NDArray[Any]]:
    import torch

    if not isinstance(value, torch.Tensor):
        raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")
    tensor = value.detach().cpu()
    bits = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
    return str(tensor.dtype).removeprefix("torch."), bits.numpy()


def _arrays(told: list[Any], body: memoryview, at: int) -> list[tuple[str, NDArray[Any]]]:
    found = []
    for dtype, shape in told:
        if dtype not in DTYPES:
            raise ValueError(f"it holds an array of {dtype}")
        at += -at % _ALIGNMENT
        kind = np.dtype("int16" if dtype == "bfloat16" else dtype)
        count = int(np.prod(shape, dtype=np.int64))
        found.append((dtype, np.frombuffer(body, kind, count, at).reshape(shape) if count else np.zeros(shape, kind)))
        at += count * kind.itemsize
    return found


def _nested(tree: Any, arrays: list[tuple[str, NDArray[Any]]]) -> Any:
    if isinstance(tree, list):
        return [_nested(item, arrays) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {_ARRAY}:
        return arrays[tree[_ARRAY]][1]
    if tree.keys() == {_TENSOR}:
        return _tensor(*arrays[tree[_TENSOR]])
    return {key: _nested(item, arrays) for key, item in tree.items()}


def _tensor(dtype: str, array: NDArray[Any]) -> Any:
    import torch

    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor
