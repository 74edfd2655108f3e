"""Power loss and syncs that fail: tests/faults/power_loss.cpp explores what the disk may hold then; here are its rows of the table."""
import json
import os
import pathlib
import subprocess

from framework import fault


def explore(run, program, *arguments):
    """The figures of one run. Exit status 1 says that something was lost; anything else is the program's own failure."""
    binary = pathlib.Path(os.environ["OUTBOXD_TESTS"]) / program
    seed = str(run.random.randrange(1, 1_000_000))
    done = subprocess.run([binary, *arguments, "--seed", seed], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{program} --seed {seed} ended with {done.returncode}: {done.stderr.strip()}")
    figures = json.loads(done.stdout.splitlines()[-1])
    figures["what"] = f"--seed {seed}: {done.stderr.strip()}"
    return figures


def bad(figures):
    return figures["lost"] + figures["corrupt"] + figures["acknowledged_after_failure"]


def judge(run, figures):
    run.passed(figures["states"] - min(bad(figures), figures["states"]))
    if bad(figures):
        run.failed(f"{figures['lost']} states lost what was acknowledged, {figures['corrupt']} were damaged, "
                   f"{figures['acknowledged_after_failure']} acknowledgements after a failure; {figures['what']}")


@fault("accepted = survives power loss", "each state a power cut may leave, at every write and sync")
def power_loss(run):
    size = ("--states", "300", "--steps", "120") if run.quick else ("--states", "10000")
    figures = explore(run, "power_loss", *size, "--jobs", "2")
    judge(run, figures)
    parts = [f"{figures['states']} distinct states of {figures['operations']} operations, {figures['checkpoints']} checkpoints"]
    for name, how in [("normal", "synchronous=NORMAL"), ("off", "synchronous=OFF")]:
        weak = explore(run, f"power_loss_{name}", "--states", "100" if run.quick else "1000", "--steps", "120", "--jobs", "2")
        run.control(how, bad(weak))
        parts.append(f"{how}: {weak['lost']} lost, {weak['corrupt']} damaged of {weak['states']}")
    run.figures = "; ".join(parts)


@fault("fsync failure", "EIO at one sync of a workload, each in turn")
def failed_sync(run):
    size = ("--failed-syncs", "16", "--steps", "100") if run.quick else ("--failed-syncs", "1000")  # there are fewer
    figures = explore(run, "power_loss", *size, "--jobs", "2")
    judge(run, figures)
    weak = explore(run, "power_loss_goes_on", "--failed-syncs", "8", "--steps", "100", "--jobs", "2")
    run.control("a store that goes on after a failure", weak["acknowledged_after_failure"])
    run.figures = (f"{min(int(size[1]), figures['syncs'])} syncs failed, {figures['states']} states after them; "
                   f"a store that goes on acknowledged {weak['acknowledged_after_failure']} more")
