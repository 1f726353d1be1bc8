"""The log: where all lines go, in JSON or for people. One object is the process's: LOG."""

import errno
import os
import select
import stat
import sys
import time

import entry as entries

WRITE_MAX = 1024 * 1024
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # of a file; there may be room again
PENDING_MAX = 256 * 1024  # bytes that wait for a reader; what comes then is dropped, and counted


def open_writer():
    """A descriptor for what is written to stderr, and how many bytes a write may have. Another one of
    the same pipe, so that it does not block, which would be the case for whoever else has it, too, if
    it was set there. Where that is not to be had: a pipe that is ready takes PIPE_BUF bytes. A file
    takes all there is: in pieces of PIPE_BUF a line took four times as long."""
    try:
        mode = os.fstat(2).st_mode
        if stat.S_ISFIFO(mode):
            return os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC), WRITE_MAX
        if stat.S_ISREG(mode):
            return 2, WRITE_MAX
    except OSError:
        pass
    return 2, select.PIPE_BUF


class Log:
    """Lines on their way to stderr. A reader that is gone or asleep must not stop the service."""

    def __init__(self):
        self.as_text, self.colour = False, False
        self.pending = []  # pieces, the next one last
        self.size = 0  # of all of them
        self.dropped = 0
        self.fd, self.piece = 2, select.PIPE_BUF
        self.ready = select.poll()
        self.ready.register(2, select.POLLOUT)

    def open(self):
        """To be called once, when there is a stderr."""
        self.fd, self.piece = open_writer()

    def configure(self, form):
        """form: json or text; None: text on a terminal, which NO_COLOR (https://no-color.org) and
        a terminal that is none (TERM=dumb) leave without colours."""
        terminal = os.isatty(2)
        self.as_text = form == "text" or (form is None and terminal)
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
        self.colour = terminal and not plain

    def write(self, severity, message, **members):
        """One line of this process's own."""
        self.add({"severity": severity, "message": message, **members}, "supervisor", os.getpid())

    def add(self, entry, component, pid=None):
        """One entry; time, component and pid are put in where it has none. Those of whoever wrote
        it come first: a line begins with its severity."""
        entry.setdefault("time", entries.now())
        entry.setdefault("component", component)
        if pid is not None:
            entry.setdefault("pid", pid)
        self.pass_on(entries.to_text(entry, self.colour) if self.as_text else entries.to_json(entry))

    def pass_on(self, lines):
        """Whole lines, as they are."""
        if self.size + len(lines) > PENDING_MAX and not self.flush():
            self.dropped += lines.count(b"\n")
            return
        starts = range(0, len(lines), self.piece)
        view = memoryview(lines)
        self.pending[:0] = [view[start : start + self.piece] for start in reversed(starts)]
        self.size += len(lines)
        self.flush()

    def flush(self, seconds=0):
        """Writes what is pending as far as somebody reads it, and waits so long for that. Returns
        whether everything is written."""
        deadline = time.monotonic() + seconds
        while self.pending:
            left = max(0, deadline - time.monotonic())
            if not self.ready.poll(left * 1000):
                return False
            if not self.write_piece():
                return False
            if not self.pending and self.dropped:
                dropped, self.dropped = self.dropped, 0
                self.write("WARNING", f"{dropped} lines were dropped: nobody read them")
        return True

    def write_piece(self):
        """Returns whether there is any use in going on."""
        piece, full = self.pending.pop(), False
        try:
            written = os.write(self.fd, piece)
        except BlockingIOError:
            written = 0
        except OSError as error:
            full, written = error.errno in FULL, 0
            if not full:  # nobody will ever read it
                self.pending, self.size, self.dropped = [], 0, 0
                return True
        self.size -= written
        if written < len(piece):
            self.pending.append(piece[written:])
        return not full


LOG = Log()


def open_streams():
    """One that is closed would be given to something else, that then gets messages."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    LOG.open()


def fail(message, status=1):
    """Says why, in one line, and ends."""
    LOG.write("CRITICAL", str(message))
    LOG.flush(0.1)
    sys.exit(status)


def explain(error):
    """An exception that nobody has foreseen, in words: what it is, and where it came from."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
    return f"{type(error).__name__}: {error} ({place} in {trace.tb_frame.f_code.co_name})"
