"""Unit tests of what is pure in supervisor/: no process is started.

    /usr/bin/python3 -m pytest tests/supervisor      (make test does this too)
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "supervisor"))
