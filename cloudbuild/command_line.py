"""What all programs here do alike with their arguments, their settings, and what goes wrong: one line
that says what it is and what to do, and exit status 2 where somebody has called them wrongly.

Needs Python 3.8.
"""

import argparse
import math
import os
import sys


class Failure(Exception):
    """What went wrong, in words for whoever reads the log."""


class Misuse(Failure):
    """What the caller has to do otherwise."""


def given(text):
    if not text:
        raise argparse.ArgumentTypeError("is empty")
    return text


def words(text):
    return given(text.strip()).split()


class Parser(argparse.ArgumentParser):
    """Takes what is required, one by one, and nothing else."""

    def __init__(self, description=None, prog=None):
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(prog, None, description, formatter_class=form, allow_abbrev=False)

    def require(self, *names, type=given):
        for name in names:
            self.add_argument(name, type=type, **({"required": True} if name[0] == "-" else {}))

    def error(self, message):
        """A usage of many lines would hide what is wrong."""
        self.exit(2, f"{self.prog}: {message}. {self.prog} --help says what it takes\n")


def program():
    return os.path.basename(sys.argv[0])


def seconds(name, default):
    """A setting in the environment, above 0."""
    text = os.environ.get(name, default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        print(f"{program()}: {name}={text}: is to be a number of seconds above 0", file=sys.stderr)
        sys.exit(2)
    return value


def left_by(path, writer):
    """The text of a file that another program has to have written before."""
    try:
        with open(path) as file:
            return file.read()
    except OSError as error:
        what = f"build/{os.path.basename(path)} cannot be read ({error.strerror})"
        raise Misuse(f"{what}: {writer} writes it, so run that before")


def finish(function, *arguments, name=None, **options):
    """Ends the program with what the function returns, or with what has failed."""
    try:
        sys.exit(function(*arguments, **options))
    except Failure as failure:
        print(f"{name or program()}: {failure}", file=sys.stderr)
        sys.exit(2 if isinstance(failure, Misuse) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
