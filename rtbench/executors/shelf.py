"""A job's checkpoint in a store: its files are keys below one prefix."""

from __future__ import annotations

from rtbench.results.store import Store


class StoreShelf:
    """Keys below `prefix/`; what is there is whole, for a store shows nothing else."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store, self._prefix = store, f"{prefix}/"

    def names(self) -> list[str]:
        """Of all files."""
        return [key.removeprefix(self._prefix) for key in self._store.list(self._prefix)]

    def read(self, name: str) -> bytearray:
        """A file's content; FileNotFoundError if it is gone."""
        try:
            return bytearray(self._store.read(self._prefix + name))
        except KeyError:
            raise FileNotFoundError(self._prefix + name) from None

    def write(self, name: str, *content: bytes | memoryview, kind: str) -> None:
        """One value of all pieces, which are copied once; without failpoints, so `kind` says nothing here."""
        self._store.replace(self._prefix + name, b"".join(content))

    def rename(self, name: str, to: str) -> None:
        """Copied, then removed: whoever is killed in between leaves both, and the next does it again."""
        self._store.replace(self._prefix + to, bytes(self.read(name)))
        self.remove(name)

    def remove(self, name: str) -> None:
        """Let a file be gone."""
        self._store.remove(self._prefix + name)

    def clear(self) -> None:
        """Nothing: a prefix without keys is not there."""
