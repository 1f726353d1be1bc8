"""The run directory, the only one that is written to: made or taken over, filled, and cleared."""

import contextlib
import fcntl
import os
import pwd
import re
import shutil

from configuration import SOURCES
from log import fail

SERVICE_USERS = ("www-data", "hello")

# What appears there while it runs. supervisord gives its socket that name when it is ready.
MADE_LATER = (
    r"responder|responder\.sock|(nginx|supervisord)\.pid|supervisor\.sock(\.\d+)?|temp|cache"
    r"|cache-between\.conf"
)


class RunDirectory:
    """The only directory that is written to."""

    def __init__(self, path):
        """Opens the directory, which it makes unless it is there, and locks it. Nothing is changed
        by name before it is known what the name stands for."""
        self.path, self.remover = path, None
        try:
            os.mkdir(path, 0o700)
            self.made = True
        except FileExistsError:
            self.made = False
        except OSError as error:
            fail(f"RUN_DIR={path} cannot be made: {error.strerror}")
        try:
            self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            fail(f"RUN_DIR={path} cannot be used as a directory: {error.strerror}")
        self.lock()

    def lock(self):
        """Where the file system has no locks, two runs in one directory are the user's to prevent."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fail(f"RUN_DIR={self.path} is in use by another run. Choose another: RUN_DIR=/some/dir")
        except OSError:
            pass

    def names(self):
        """What this run or an earlier one has put there."""
        return [
            name
            for name in os.listdir(self.fd)
            if name in SOURCES or re.fullmatch(MADE_LATER, name)
        ]

    def drop_root(self):
        """Root hands the directory over, unless it holds somebody's files, and is root no more."""
        user = service_user()
        try:
            if not os.listdir(self.fd):
                os.fchown(self.fd, user.pw_uid, user.pw_gid)
            if self.made and not os.stat(os.path.dirname(self.path)).st_mode & 0o002:
                self.remover = start_remover(self.path)
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        except OSError as error:
            self.leave()
            fail(
                f"root does not serve, and cannot become {user.pw_name}: {error.strerror}. Start it"
                " as another user, or with the capabilities CHOWN, SETGID and SETUID"
            )

    def take(self):
        """Makes sure that the directory is empty, and that this user may write there: as a rule it is
        this user's own; a volume that an engine mounts may be somebody else's."""
        foreign = set(os.listdir(self.fd)) - set(self.names())
        if foreign or not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            fail(
                f"RUN_DIR={self.path} must be a directory that user {user_name()} may write to, and"
                " empty"
            )
        try:
            if os.fstat(self.fd).st_uid == os.geteuid():
                os.fchmod(self.fd, 0o700)
            self.clear()
        except OSError as error:
            self.leave()
            fail(f"RUN_DIR={self.path} cannot be written to: {error.strerror}")

    def write(self, files):
        """Puts files there, by name and text."""
        try:
            os.mkdir(f"{self.path}/temp", 0o700)
            for name, text in files.items():
                with open(f"{self.path}/{name}", "x", encoding="utf-8") as file:
                    file.write(text)
        except OSError as error:
            fail(f"RUN_DIR={self.path} cannot be written to: {error.strerror}")

    def usable_program(self, program):
        """The path of a program that this user may run: itself, or, when it lies below a directory
        that is closed to this user, as root's home is, a copy of what root has read."""
        if os.access(program.path, os.X_OK):
            return program.path
        copy = f"{self.path}/responder"
        try:
            with open(copy, "xb") as file:
                file.write(program.content)
            os.chmod(copy, 0o700)
        except OSError as error:
            fail(f"RUN_DIR={self.path} cannot be written to: {error.strerror}")
        return copy

    def clear(self):
        for name in self.names():
            try:
                os.unlink(name, dir_fd=self.fd)
            except IsADirectoryError:
                shutil.rmtree(f"{self.path}/{name}")

    def leave(self):
        """Clears the directory, as far as it can be, and removes it if this run has made it."""
        with contextlib.suppress(OSError):
            self.clear()
        if self.made:
            with contextlib.suppress(OSError):  # others' files are there, or it is the remover's
                os.rmdir(self.path)
        os.close(self.fd)
        if self.remover:
            self.remover()


def service_user():
    """Whom root becomes: every Debian has www-data, the image has a user of its own."""
    for name in SERVICE_USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return fail(f"root does not serve, and there is no user {SERVICE_USERS[0]} for it to become")


def user_name():
    """A container's user need not have a name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def start_remover(path):
    """Forks a process that stays root, for a directory that nobody else may remove, and that does
    so when this one ends or calls the function that is returned."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write_end)
        os.read(read_end, 1)
        with contextlib.suppress(OSError):
            os.rmdir(path)
        os._exit(0)
    os.close(read_end)

    def remove():
        os.close(write_end)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)

    return remove
