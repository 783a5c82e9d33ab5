#!/usr/bin/env python3
"""Joins the conformance statements with what their tests say.

A test proves the statement its name begins with: C007_... proves C7. Several tests may prove one
statement. Prints the table; --write makes the document of it, --check compares it with the document.
Exit code 0 only if every statement has a test, every test passed, and the document is as it should
be. The document holds nothing that differs from one run to the next.
"""
import argparse
import csv
import json
import pathlib
import re
import subprocess
import sys
import tempfile

HEAD = """# Conformance

What MAPI's submission model demands, one statement a row, and the tests that prove it: run against
a real database on a real file system, with real processes where a statement speaks of processes.
`./dev conformance` runs the tests and prints this table; `./dev conformance --write` makes this
document of it. A build whose table is another, or lacks a test, does not pass.

Sources are pages of the public MAPI reference by their names, sections of the Exchange protocol
documents (MS-...), the behaviour of the vendor's historic sample providers ("observed"), pages of
the 1998 SDK, and this project's decisions where those are silent or disagree ("ruling").

"""


def read_statements(path):
    with open(path, encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [(int(row["statement"][1:]), row["text"], row["source"]) for row in rows]


def run(program):
    """What the program's tests named C<number>_ say: number -> [(test, file, result)]."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        ran = subprocess.run([program, "--gtest_filter=*.C0*:*.C1*", f"--gtest_output=json:{report}"],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if not report.exists():
            sys.exit(f"{program} made no report:\n{ran.stdout.decode(errors='replace')[-2000:]}")
        suites = json.loads(report.read_text(encoding="utf-8"))["testsuites"]
    if ran.returncode != 0:
        print(ran.stdout.decode(errors="replace"), file=sys.stderr)
    tests = {}
    for test in (test for suite in suites for test in suite["testsuite"]):
        number = re.match(r"C(\d{3})_", test["name"])
        if not number:
            continue
        result = "failed" if "failures" in test else "passed"
        result = "skipped" if test.get("result") == "SKIPPED" else result
        file = pathlib.Path(test["file"]).name
        tests.setdefault(int(number[1]), []).append((test["name"], file, result))
    return {number: sorted(proofs, key=lambda proof: proof[1]) for number, proofs in tests.items()}


def make_table(statements, tests):
    lines = ["| statement | test | result | source |", "|---|---|---|---|"]
    for number, text, source in statements:
        proofs = tests.get(number, [])
        names = "<br>".join(f"[{name}](../tests/conformance/{file})" for name, file, _ in proofs)
        results = "<br>".join(result for _, _, result in proofs)
        text = text.replace("|", "\\|")
        lines.append(f"| C{number}: {text} | {names or '-'} | {results or 'no test'} | {source} |")
    return "\n".join(lines) + "\n"


def find_problems(statements, tests):
    numbers = {number for number, _, _ in statements}
    problems = [f"C{number} has no test" for number in sorted(numbers - tests.keys())]
    problems += [f"a test is named after C{number}, which is no statement"
                 for number in sorted(tests.keys() - numbers)]
    problems += [f"{name} has {result}" for proofs in tests.values()
                 for name, _, result in proofs if result != "passed"]
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, help="the built conformance_test")
    parser.add_argument("--statements", required=True, type=pathlib.Path)
    parser.add_argument("--document", required=True, type=pathlib.Path)
    parser.add_argument("--write", action="store_true", help="write the document")
    parser.add_argument("--check", action="store_true", help="compare, print nothing")
    arguments = parser.parse_args()

    statements = read_statements(arguments.statements)
    tests = run(arguments.program)
    table = make_table(statements, tests)
    problems = find_problems(statements, tests)
    if arguments.write:
        arguments.document.write_text(HEAD + table, encoding="utf-8")
    elif not arguments.check:
        print(table, end="")
    if not arguments.document.exists() or arguments.document.read_text("utf-8") != HEAD + table:
        problems.append(f"{arguments.document} is stale: ./dev conformance --write makes it anew")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


sys.exit(main())
