#!/usr/bin/python3 -B
"""sandbox.py [--trap] UNIT COMMAND [ARGUMENT]...: becomes COMMAND under those restrictions of UNIT that a process can put on itself: system
call filters, capabilities, limits, umask. What takes a mount namespace or a cgroup is left out.

--trap: a call that the filters refuse ends the process with SIGSYS, so that none goes unseen (strace names it); otherwise it fails as
under systemd.

In Python, with Debian's python3-seccomp, rather than in C: libseccomp does the work either way, and what is left is reading the
unit. exec keeps the process id, so that whoever starts this signals and watches COMMAND itself."""
import ctypes
import errno
import mmap
import os
import resource
import socket
import stat
import sys

import seccomp
from unit_file import UnitFile, allowed_system_calls

SHM_EXEC = 0o100000
NEW_NAMESPACE = [0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]  # CLONE_NEW*, linux/sched.h
SET_ID = [stat.S_ISUID, stat.S_ISGID]
MODE_ARGUMENT = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "mkdir": 1, "mkdirat": 2, "mknod": 1, "mknodat": 2, "creat": 1}

# What a setting refuses beside SystemCallFilter=: calls in which each of these arguments has all of these bits. As
# systemd.exec(5) says of each, and systemd 252 does.
REFUSED = {
    "MemoryDenyWriteExecute": [("mmap", {2: mmap.PROT_WRITE | mmap.PROT_EXEC}), ("mprotect", {2: mmap.PROT_EXEC}),
                               ("pkey_mprotect", {2: mmap.PROT_EXEC}), ("shmat", {2: SHM_EXEC})],
    "RestrictNamespaces": [("setns", {})] + [(call, {0: kind}) for kind in NEW_NAMESPACE for call in ("unshare", "clone")],
    "RestrictSUIDSGID": [(call, {mode: bit}) for bit in SET_ID for call, mode in MODE_ARGUMENT.items()]
                        + [(call, {flags: os.O_CREAT, flags + 1: bit}) for bit in SET_ID for call, flags in [("open", 1), ("openat", 2)]],
    "RestrictRealtime": [("sched_setscheduler", {1: policy}) for policy in (os.SCHED_FIFO, os.SCHED_RR)],
    "ProtectHostname": [("sethostname", {}), ("setdomainname", {})],
    "ProtectKernelLogs": [("syslog", {})],
}
# Calls whose arguments are behind a pointer, where a filter cannot look: as if the kernel did not have them.
ABSENT = {"RestrictNamespaces": ["clone3"], "RestrictSUIDSGID": ["openat2"]}


def number(call):
    """None: this architecture, or libseccomp, does not know the call."""
    found = seccomp.resolve_syscall(seccomp.Arch.NATIVE, call)
    return found if found >= 0 else None


def add(rules, action, call, *conditions):
    if number(call) is not None:
        rules.add_rule_exactly(action, call, *conditions)


def refuse_bits(unit, refuse):
    for setting in REFUSED:
        if not unit.is_on(setting):
            continue
        rules = seccomp.SyscallFilter(seccomp.ALLOW)
        for call, bits in REFUSED[setting]:
            add(rules, refuse(errno.EPERM), call, *[seccomp.Arg(at, seccomp.MASKED_EQ, mask, mask) for at, mask in bits.items()])
        for call in ABSENT.get(setting, []):
            add(rules, seccomp.ERRNO(errno.ENOSYS), call)
        rules.load()


def refuse_personalities(unit, refuse):
    if unit.is_on("LockPersonality"):
        rules = seccomp.SyscallFilter(seccomp.ALLOW)
        current = ctypes.CDLL(None).personality(0xFFFFFFFF)
        add(rules, refuse(errno.EPERM), "personality", seccomp.Arg(0, seccomp.NE, current))
        rules.load()


def refuse_address_families(unit, refuse):
    allowed = sorted(int(getattr(socket, name)) for name in unit.words("RestrictAddressFamilies"))
    if allowed:
        rules = seccomp.SyscallFilter(seccomp.ALLOW)
        others = [seccomp.Arg(0, seccomp.LT, allowed[0]), seccomp.Arg(0, seccomp.GT, allowed[-1])]
        others += [seccomp.Arg(0, seccomp.EQ, family) for family in range(allowed[0], allowed[-1]) if family not in allowed]
        for other in others:
            add(rules, refuse(errno.EAFNOSUPPORT), "socket", other)
        rules.load()


def filter_system_calls(unit, refuse):
    """The last one: those before it take calls to be put on which this one may refuse."""
    allowed = allowed_system_calls(unit)
    if allowed is not None:
        rules = seccomp.SyscallFilter(refuse(getattr(errno, unit.value("SystemCallErrorNumber", "EPERM"))))
        for call in allowed:
            add(rules, seccomp.ALLOW, call)
        rules.load()


def drop_capabilities(unit):
    """An empty bounding set: what is executed next has none, as root too."""
    if unit.values("CapabilityBoundingSet"):
        raise ValueError("a CapabilityBoundingSet= that is not empty is not understood here")
    if os.geteuid() == 0:
        pr_capbset_drop, libc, capability = 24, ctypes.CDLL(None), 0
        while libc.prctl(pr_capbset_drop, capability, 0, 0, 0) == 0:
            capability += 1


def limit_resources(unit):
    for name, kind in (("LimitNOFILE", resource.RLIMIT_NOFILE), ("LimitCORE", resource.RLIMIT_CORE)):
        if unit.value(name):
            hard = resource.getrlimit(kind)[1]
            limit = int(unit.value(name))
            if hard != resource.RLIM_INFINITY:
                limit = min(limit, hard)
            resource.setrlimit(kind, (limit, limit))
    os.umask(int(unit.value("UMask", "022"), 8))


def main(arguments):
    trap = arguments[:1] == ["--trap"]
    unit, command = UnitFile(arguments[trap]), arguments[trap + 1:]
    refuse = (lambda code: seccomp.TRAP) if trap else seccomp.ERRNO
    limit_resources(unit)
    drop_capabilities(unit)
    # libseccomp sets no_new_privs with the first filter; other architectures' calls it kills (SystemCallArchitectures=native).
    refuse_bits(unit, refuse)
    refuse_personalities(unit, refuse)
    refuse_address_families(unit, refuse)
    filter_system_calls(unit, refuse)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
