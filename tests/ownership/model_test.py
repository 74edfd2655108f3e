#!/usr/bin/env python3
"""Has the protocol of daemon/store/postgresql/ownership.pml checked by spin, and the same with one line of it broken: then
spin must find the property that this breaks.

    model_test.py [-v]                            what the suite runs, in seconds
    model_test.py --faults N [--only PART]        deeper (two faults: minutes and gigabytes); the trail of what is found is kept"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

MODEL = pathlib.Path(__file__).resolve().parents[2] / "daemon/store/postgresql/ownership.pml"
SKIPPED = 77
MEMORY_MIB = 2048
MUTANT_DEPTH = 800  # what is wrong shows early, and a deep search finds long ways to it first
SAFETY = ["-DSAFETY", "-DNOCLAIM"]
LIVENESS = ["-DNFAIR=4"]  # spin wants to know how many processes it has to be fair to
ENDS = "what is accepted ends"

# name: (spin's definitions, how to check)
RUNS = {
    "safe, in order": (["-Dordered=1"], SAFETY),
    "safe, in no order": (["-Dordered=0"], SAFETY),
    "what is accepted ends": (["-Dordered=1", "-DCALM", "-DMOVES=0", "-DMAX_ATTEMPTS=1"], LIVENESS),
}

# A daemon that ...: (run, the line, its replacement, the property that is broken, how many faults that takes if not one)
MUTANTS = {
    "records without asking for its row": (
        "safe, in order", "       :: fenced[token[m]] -> drop_everything(m)\n       :: else ->\n", "       :: true ->\n",
        "two_record"),
    "asks for its row without locking it": (
        "safe, in order", "transaction[owner] != begun && transaction[owner] != committing ->", "true ->", "two_record"),
    "takes over without fencing": ("safe, in order", "fenced[owner] = (owner != 0);", "skip;", "two_record"),
    "trusts what it reads": (
        "safe, in order", "proctype Writer(byte m) {\n  do\n",
        "proctype Writer(byte m) {\n  do\n  :: atomic { cut_off[m] && trust[m] < WINDOW -> trust[m] = WINDOW }\n",
        "two_send_what_is_ordered"),
    "sends without asking whether it is trusted": (
        "safe, in order", "work[m] == held && trust[m] > 0 &&", "work[m] == held &&", "two_send_what_is_ordered"),
    "counts its trust from the answer": (
        "safe, in order", "trust[m] = (WINDOW - age[m] > trust[m] -> WINDOW - age[m] : trust[m]);", "trust[m] = WINDOW;",
        "two_send_what_is_ordered"),
    "does not wait for the former owner's window": (
        "safe, in order", "hold_back[m] = (unclean[m] && ordered -> WINDOW : 0);", "hold_back[m] = 0;", "two_send_what_is_ordered"),
    "gives back what it has just taken over": (
        "safe, in order", "!under_way(m) && hold_back[m] == 0 &&", "!under_way(m) &&", "two_send_what_is_ordered"),
    "gives that back when it joins anew": (
        "safe, in order", "owner == token[m] && hold_back[m] == 0 -> owner = 0", "owner == token[m] -> owner = 0",
        "two_send_what_is_ordered", 2),
    "claims on another session than its lock's": (
        "safe, in order", "phase[m] == locked && session[m] && !cut_off[m] &&", "phase[m] == locked && !cut_off[m] &&",
        "repeated_without_fault"),
    "gives back before what is under way has ended": (
        "safe, in order", "!fenced[token[m]] && !under_way(m) &&", "!fenced[token[m]] &&", "repeated_without_fault"),
    "forgets the ids of attempts": (
        "safe, in order", "outcome[t] != nothing && !recorded[t] ->", "outcome[t] != nothing ->", "recorded_twice"),
    "reads on from a server that was cut off": (
        "safe, in no order", "  reads_former[m] = 0; was_pending[m] = 0;\n", "  skip;\n", "recorded_after_the_end"),
    "claims only what was given back": (
        ENDS, "transaction[owner] != begun && transaction[owner] != committing ->", "owner == 0 ->", "acceptance cycle"),
}


def check(run, model, faults, folder, expected):
    """What spin's verifier finds: the line that says it, "" if all holds; and its whole output."""
    definitions, how = RUNS[run]
    if expected and how is SAFETY:
        definitions = [*definitions, f"-DLOOK_FOR={expected}"]
    folder.mkdir(parents=True)
    (folder / "ownership.pml").write_text(model)
    for command in (["spin", f"-DFAULTS={faults}", *definitions, "-a", "ownership.pml"],
                    ["gcc", "-O1", "-w", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MIB * faults}", *how, "-o", "verifier", "pan.c"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            return f"{command[0]} failed", done.stdout + done.stderr
    fair = ["-a", "-f"] if how is LIVENESS else []
    depth = 1_000_000 if not expected or fair else MUTANT_DEPTH // faults ** 2
    output = subprocess.run(["./verifier", f"-m{depth}", "-w20", *fair], cwd=folder, capture_output=True, text=True).stdout
    found = re.search(r"^pan:\d+: (.*)$", output, re.M)
    if found:
        return found[1], output
    whole = "errors: 0" in output and "Search not completed" not in output and "max search depth" not in output
    return ("" if whole else "the search was not completed"), output


def broken(name, model):
    run, line, replacement, *_ = MUTANTS[name]
    if model.count(line) != 1:
        raise SystemExit(f"a daemon that {name}: this stands {model.count(line)} times in {MODEL.name}:\n{line}")
    return run, model.replace(line, replacement)


def jobs(only):
    model = MODEL.read_text()
    for run in RUNS:
        if only in run:
            yield run, run, model, "", 1
    for name, (_, _, _, expected, *faults) in MUTANTS.items():
        if only in f"a daemon that {name}":
            yield f"a daemon that {name}", *broken(name, model), expected, *(faults or [1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-v", action="store_true", help="say what is found, and in how many states")
    parser.add_argument("--faults", type=int, default=1)
    parser.add_argument("--only", default="", help="those runs and mutants whose name contains this")
    arguments = parser.parse_args()
    missing = [tool for tool in ("spin", "gcc") if not shutil.which(tool)]
    if missing:
        print(f"skipped: {' and '.join(missing)} missing (scripts/setup installs it); the protocol is not checked")
        return SKIPPED
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ownership-"))
    wrong = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        begun = [(name, expected, folder / str(i), pool.submit(check, run, model, max(faults, arguments.faults), folder / str(i), expected))
                 for i, (name, run, model, expected, faults) in enumerate(jobs(arguments.only))]
        for name, expected, where, job in begun:
            found, output = job.result()
            states = re.search(r"([\d.e+]+) states, stored", output)
            right = expected in found if expected else not found
            if not right:
                wrong.append(name)
            if arguments.v or not right:
                print(f"{'' if right else 'WRONG '}{name}: {found or 'all holds'}, {states[1] if states else 0} states"
                      + ("" if right else f"; expected: {expected or 'all holds'}\n  {where}\n{output[-1500:]}"), flush=True)
    if not begun:
        print(f"no run and no mutant is named \"{arguments.only}\"")
        return 2
    if not wrong:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    sys.exit(main())
