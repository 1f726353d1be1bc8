"""Runs a command to which the system refuses one call: refuse.py CALL ERRNO COMMAND...

By libseccomp, as a container engine does it. ERRNO: a name. A call that the machine has not is not
refused: exit status 2."""

import ctypes
import errno
import os
import sys

ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # seccomp.h; the latter with an errno


def refuse(call, error):
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ALLOW))
    number = seccomp.seccomp_syscall_resolve_name(call.encode())
    if number < 0 or seccomp.seccomp_rule_add(context, REFUSE | getattr(errno, error), number, 0):
        sys.exit(2)
    if seccomp.seccomp_load(context):
        sys.exit(2)


refuse(sys.argv[1], sys.argv[2])
os.execvp(sys.argv[3], sys.argv[3:])
