#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lists the tests of a build for the machine that init runs on.

usage: tests/vm/plan.py BUILD SLOWNESS SUITE...

One line per test: name, limit in seconds, its environment, its command with /zcs for BUILD.
SLOWNESS is how many times slower than this machine the other one is taken to be: the tests have so
much more time, and do so much less of what is random.
"""
import json
import os
import subprocess
import sys

# Arithmetic with 20 million random numbers: no kernel makes a difference, and it takes minutes there.
LEFT_OUT = {'unit-cost'}


def plan(build, slowness, suites):
    text = subprocess.run(['meson', 'introspect', '--tests', build], check=True,
                          stdout=subprocess.PIPE).stdout
    for test in json.loads(text):
        if test['name'] in LEFT_OUT or not any(suite.split(':')[-1] in suites
                                               for suite in test['suite']):
            continue
        command = [word.replace(build, '/zcs') for word in test['cmd']]
        environment = [f'{name}={value}' for name, value in test['env'].items()
                       if name.startswith('ZCS_')]
        environment.append(f'ZCS_TEST_SLOWNESS={slowness}')
        yield test['name'], test['timeout'], environment, command


def main(build, slowness, *suites):
    for name, limit, environment, command in plan(os.path.realpath(build), int(slowness), suites):
        print(name, limit, ' '.join(environment), ' '.join(command), sep='\t')


main(*sys.argv[1:])
