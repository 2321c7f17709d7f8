"""Locks that the kernel lets go of when their process dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from pathlib import Path

_HELD: weakref.WeakSet[_Lock] = weakref.WeakSet()


class _Lock:
    """A ``flock`` on a file, of one object: another object of the same process is somebody else."""

    def __init__(self, path: Path):
        self.path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        return self._descriptor is not None

    def release(self) -> None:
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # also for a child between fork and exec, which has it too
            self._drop()

    def _flock(self, how: int) -> bool:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BaseException as exc:
            os.close(descriptor)
            if isinstance(exc, BlockingIOError):
                return False
            raise
        self._descriptor = descriptor
        _HELD.add(self)
        return True

    def _drop(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


class FileLock(_Lock):
    """An exclusive lock; the file holds the owner's process number, for messages only."""

    def acquire(self) -> bool:
        """True when it is ours, also when it already was; False when another process (or object) has it."""
        if self.is_held:
            return True
        if not self._flock(fcntl.LOCK_EX) or self._descriptor is None:
            return False
        with contextlib.suppress(OSError):  # on a full disk the number is missing, and the lock still ours
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
        super().release()

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


class SharedLock(_Lock):
    """Any number may share it; one may have it alone when nobody else does."""

    def share(self) -> bool:
        """True when we are one of those who share it; False while another has it alone."""
        return self.is_held or self._flock(fcntl.LOCK_SH)

    def take_exclusively(self) -> bool:
        """True when nobody else has it, and then nobody can share it; else we no longer share it either.

        Letting go first, so that of all who leave at the same time the last one gets it.
        """
        self.release()
        return self._flock(fcntl.LOCK_EX)


def _forget_in_child() -> None:
    """A forked child shares the lock: it must neither think it owns it nor keep it after its parent."""
    for lock in list(_HELD):
        if lock.is_held:
            lock._drop()


os.register_at_fork(after_in_child=_forget_in_child)
