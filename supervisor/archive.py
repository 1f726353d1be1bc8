"""The modules that the image has in one file, made by scripts/rootfs: Python looks for each of its 70 in
several places and opens it, which takes a tenth of the start, and more in gVisor, where each of these
calls is a message to another process (docs/container.md). zipimport, of the standard library, reads such
a file, too, but takes longer than the 70 files do.
"""

import marshal
import os
import sys

# Of importlib, which is a file itself.
from _frozen_importlib import ModuleSpec

PATH = f"{sys.prefix}/lib/python{sys.version_info[0]}.{sys.version_info[1]}/modules"


class Archive:
    """A finder and loader. modules: by its name, the file that a module stands for, whether it is a
    package, and its code, marshalled."""

    def __init__(self, modules):
        self.modules = modules

    def find_spec(self, name, _path=None, _target=None):
        if name not in self.modules:
            return None
        origin, is_package, _ = self.modules[name]
        spec = ModuleSpec(name, self, origin=origin, is_package=is_package)
        spec.has_location = True  # supervisor reads a file beside its own
        return spec

    def create_module(self, _spec):
        """The usual one."""

    def exec_module(self, module):
        exec(marshal.loads(self.modules.pop(module.__name__)[2]), vars(module))  # pylint: disable=exec-used


def use():
    """Makes what is in the file importable. Where there is none, as with make run, nothing is different."""
    if os.path.exists(PATH):
        with open(PATH, "rb") as file:
            sys.meta_path.insert(0, Archive(marshal.load(file)))
