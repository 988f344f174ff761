#!/usr/bin/env python3
"""Reads the testlog.json of a `meson test` run.

testlog.py LOG            one line per test: pass, fail or skip, the name, the reason of a skip;
                          after a failure the end of its output, indented
testlog.py --result LOG   the results only, one word each, as meson names them
"""
import json
import sys

TAIL = 60


def tests(path):
    with open(path, encoding='utf-8') as log:
        for line in log:
            yield json.loads(line)


def output(test):
    text = test.get('stdout', '') + test.get('stderr', '')
    return [line for line in text.splitlines() if line.strip()]


def report(test):
    name = test['name'].split(' / ')[-1]
    result = test['result']
    lines = output(test)
    if result in ('OK', 'EXPECTEDFAIL'):
        print('pass', name)
    elif result == 'SKIP':
        print('skip', name + ':', lines[-1] if lines else 'no reason given')
    else:
        print('fail', name, f"({result}, exit {test['returncode']}, {test['duration']:.1f} s)")
        for line in lines[-TAIL:]:
            print('    ' + line)


def main(args):
    only_result = '--result' in args
    for test in tests(args[-1]):
        if only_result:
            print(test['result'])
        else:
            report(test)


try:
    main(sys.argv[1:])
except (OSError, ValueError) as error:
    sys.exit(f'no test log: {error}')
