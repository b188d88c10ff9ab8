"""What /proc tells: which processes a server consists of, what they have used, what they hold."""

import os
import time
from contextlib import contextmanager, suppress

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The fields of /proc/PID/stat behind the process's name, or None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def alive(pid):
    """Whether the process exists and has not ended."""
    stat = _stat(pid)
    return stat is not None and stat[0] != "Z"


def tree(root):
    """The process and all that descend from it, itself first."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := _stat(name)):
            children.setdefault(int(stat[1]), []).append(int(name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(pids):
    """User and system time of the processes and of the children they have waited for."""
    stats = filter(None, map(_stat, pids))
    return sum(int(value) for stat in stats for value in stat[11:15]) / TICKS


def busy_seconds():
    """What all processors together have spent on anything: user, nice, system, interrupts, stolen."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _wait, *interrupts = map(int, file.readline().split()[1:9])
    return (user + nice + system + sum(interrupts)) / TICKS


def memory(pids):
    """Sums over the processes, in KiB: `pss` (shared pages by share) and `private` (theirs alone)."""
    total = {"Pss:": 0, "Private_Clean:": 0, "Private_Dirty:": 0}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                for words in map(str.split, file):
                    if words[0] in total:
                        total[words[0]] += int(words[1])
        except OSError:
            continue
    return {"pss": total["Pss:"], "private": total["Private_Clean:"] + total["Private_Dirty:"]}


@contextmanager
def on_cores(cores):
    """What is done and started meanwhile stays on the given cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def prefer():
    """Lets this process and what it starts go before other work, if this user may ask for that.

    Where the kernel groups processes by session, their own priority counts only within the group.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        with open("/proc/self/autogroup", "w") as file:
            file.write("-20")


def machine():
    """What a reader must know of the machine to judge the figures."""
    with open("/proc/cpuinfo") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return {
        "processor": models[0] if models else os.uname().machine,
        "cores": os.cpu_count(),
        "kernel": os.uname().release,
        "when": time.strftime("%Y-%m-%d %H:%M"),
    }
