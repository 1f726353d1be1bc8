"""The run directory, the only one that is written to: made or taken over, filled, and cleared."""

import contextlib
import fcntl
import os
import pwd
import re
import shutil

from log import fail

SERVICE_USER = "www-data"  # whom root becomes; every Debian has it

# What is copied there, so that whoever serves can read it.
SOURCES = {
    "nginx.conf": "nginx/nginx.conf.template",
    "cache.conf": "nginx/cache-@CACHE@.conf",
    "errors.conf": "nginx/errors.conf",
    "fastcgi_params": "nginx/fastcgi_params",
    "supervisord.conf": "supervisor/supervisord.conf",
}
# What appears there while it runs. supervisord gives its socket that name when it is ready.
MADE_LATER = (
    r"responder|responder\.sock|(nginx|supervisord)\.pid|supervisor\.sock(\.\d+)?|temp|cache"
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
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fail(f"RUN_DIR={path} is in use by another run. Choose another: RUN_DIR=/some/dir")
        except OSError as error:
            fail(f"RUN_DIR={path} cannot be used as a directory: {error.strerror}")

    def names(self):
        """What this run or an earlier one has put there."""
        return [
            name
            for name in os.listdir(self.fd)
            if name in SOURCES or re.fullmatch(MADE_LATER, name)
        ]

    def drop_root(self):
        """Root hands the directory over, unless it holds somebody's files, and is root no more."""
        try:
            user = pwd.getpwnam(SERVICE_USER)
        except KeyError:
            fail(f"root does not serve, and there is no user {SERVICE_USER} for it to become")
        if not os.listdir(self.fd):
            os.fchown(self.fd, user.pw_uid, user.pw_gid)
        if self.made and not os.stat(os.path.dirname(self.path)).st_mode & 0o002:
            self.remover = start_remover(self.path)
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)

    def take(self):
        """Makes sure that the directory is this user's, and empty."""
        foreign = set(os.listdir(self.fd)) - set(self.names())
        if foreign or os.fstat(self.fd).st_uid != os.geteuid():
            user = pwd.getpwuid(os.geteuid()).pw_name
            fail(f"RUN_DIR={self.path} must be a writable directory of {user}'s, and empty")
        try:
            os.fchmod(self.fd, 0o700)
            self.clear()
        except OSError as error:
            fail(f"RUN_DIR={self.path} cannot be written to: {error.strerror}")

    def write(self, sources, port):
        os.mkdir(f"{self.path}/temp", 0o700)
        for name, text in sources.items():
            with open(f"{self.path}/{name}", "x", encoding="utf-8") as file:
                file.write(text.replace("@PORT@", port).replace("@RUN_DIR@", self.path))

    def usable_responder(self, path, program):
        """A program that this user may run: itself, or, when it lies below a directory that is
        closed to this user, as root's home is, a copy of what root has read."""
        if os.access(path, os.X_OK):
            return path
        copy = f"{self.path}/responder"
        with open(copy, "xb") as file:
            file.write(program)
        os.chmod(copy, 0o700)
        return copy

    def clear(self):
        for name in self.names():
            try:
                os.unlink(name, dir_fd=self.fd)
            except IsADirectoryError:
                shutil.rmtree(f"{self.path}/{name}")

    def leave(self):
        self.clear()
        if self.made:
            with contextlib.suppress(OSError):  # others' files are there, or it is the remover's
                os.rmdir(self.path)
        os.close(self.fd)
        if self.remover:
            self.remover()


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
