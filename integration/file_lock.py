"""A lock that the kernel lets go of when its process dies, however it dies."""
from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

_HELD: weakref.WeakSet[FileLock] = weakref.WeakSet()


class FileLock:
    """An exclusive ``flock`` on a file that holds the owner's process number, for messages only."""

    def __init__(self, path: Path):
        self.path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        return self._descriptor is not None

    def acquire(self) -> bool:
        """True when it is ours, also when it already was; False when another process (or object) has it."""
        if self.is_held:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        self._descriptor = descriptor
        _HELD.add(self)
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            self._drop()

    def owner(self) -> int | None:
        """The process that holds it now; None when nobody does (whatever a dead one left in the file)."""
        if self.is_held:
            return os.getpid()
        try:
            with self.path.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            return int(self.path.read_text() or 0) or None
        except OSError:
            return None

    def _drop(self) -> None:
        os.close(self._descriptor)
        self._descriptor = None


def _forget_in_child() -> None:
    """A forked child shares the lock: it must neither think it owns it nor keep it after its parent."""
    for lock in list(_HELD):
        if lock.is_held:
            lock._drop()


os.register_at_fork(after_in_child=_forget_in_child)
