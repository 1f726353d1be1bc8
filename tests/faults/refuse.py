"""Runs a command to which the system refuses one call: refuse.py CALL ERRNO COMMAND...

By libseccomp, as a container engine does it. CALL: a name, with NAME:NUMBER only where that is the
first argument. ERRNO: a name. A call that the machine has not is not refused: exit status 2."""

import ctypes
import errno
import os
import sys

ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # seccomp.h; the latter with an errno
EQUAL = 4  # SCMP_CMP_EQ


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp: which argument, how, with what."""

    _fields_ = [
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("other_value", ctypes.c_uint64),
    ]


def refuse(call, error):
    name, _, first = call.partition(":")
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ALLOW))
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    action = REFUSE | getattr(errno, error)
    compared = Comparison(0, EQUAL, int(first or 0), 0)
    count = 1 if first else 0
    if number < 0 or seccomp.seccomp_rule_add_array(
        context, action, number, count, ctypes.byref(compared)
    ):
        sys.exit(2)
    if seccomp.seccomp_load(context):
        sys.exit(2)


refuse(sys.argv[1], sys.argv[2])
os.execvp(sys.argv[3], sys.argv[3:])
