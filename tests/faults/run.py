"""Runs the fault suite and prints its table.

    run.py [--quick] [--only TEXT] [--without TEXT] [--store sqlite|postgresql] [--seed N] [--list] [--markdown FILE]"""
import argparse
import importlib
import os
import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent


def load():
    for path in sorted(HERE.glob("*_faults.py")):
        importlib.import_module(path.stem)


def control_text(run):
    if not run.controls:
        return "none"
    missed = [how for how, noticed in run.controls if not noticed]
    if missed:
        return "NOT NOTICED: " + "; ".join(missed)
    return f"{len(run.controls)} of {len(run.controls)} noticed"


def row(promise, title, run):
    if run.skipped:
        return [promise, title, "skipped", run.skipped, "", f"{run.seconds:.0f} s"]
    return [promise, title, str(run.cases), str(len(run.failures)), control_text(run), (run.figures + f" ({run.seconds:.0f} s)").strip()]


def print_table(rows):
    head = ["promise", "what is done", "cases", "failures", "controls", "figures"]
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head) - 1)]
    for line in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)) + "  " + line[-1], flush=True)


def markdown(rows):
    head = "| promise | what is done | cases | failures | controls | figures |\n| --- | --- | --- | --- | --- | --- |\n"
    return head + "".join("| " + " | ".join(cell.replace("|", "/") for cell in r) + " |\n" for r in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few cases of each, for the test suite")
    parser.add_argument("--only", default="", help="only rows whose promise or title contains this")
    parser.add_argument("--without", help="no rows whose promise or title contains this")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite", help="what can be done to a daemon over which one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--markdown", help="write the table to this file too")
    options = parser.parse_args()
    os.environ["OUTBOXD_STORE"] = options.store  # read where it is imported
    from framework import FAULTS, Run
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # rows clean up after themselves
    load()
    chosen = [f for f in FAULTS if options.only.lower() in (f[0] + " " + f[1]).lower()
              and not (options.without and options.without.lower() in (f[0] + " " + f[1]).lower())]
    if options.list or not chosen:
        print("\n".join(f"{promise}: {title}" for promise, title, _ in (chosen or FAULTS)))
        return 0 if options.list else 2
    rows, good = [], True
    for promise, title, function in chosen:
        print(f"... {promise}: {title}", file=sys.stderr, flush=True)
        run = Run(options.quick, options.seed)
        run.execute(function)
        for failure in run.failures:
            print(f"FAILED {promise}: {title}: {failure}", file=sys.stderr, flush=True)
        good = good and run.good
        rows.append(row(promise, title, run))
    print_table(rows)
    if options.markdown:
        pathlib.Path(options.markdown).write_text(markdown(rows))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
