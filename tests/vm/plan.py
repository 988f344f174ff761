#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lists the tests of a build for the machine that init runs on.

usage: tests/vm/plan.py BUILD SLOWNESS SUITE...

One line per test: name, limit in seconds, its environment, its command with /zcs for BUILD.
SLOWNESS is how many times slower than this machine the other one is taken to be: the tests have so
much more time, and do so much less of what is random.

The suite netem is the suite net once more, over lines that delay, lose, reorder and duplicate.
"""
import json
import os
import subprocess
import sys

# What was lost is sent again after 200 ms, so it takes much longer.
NETEM_SLOWNESS = 3

# Arithmetic with 20 million random numbers: no kernel makes a difference, and it takes minutes there.
LEFT_OUT = {'unit-cost'}


def suites_of(test):
    suites = {suite.split(':')[-1] for suite in test['suite']}
    return suites | {'netem'} if 'net' in suites else suites


def plan(build, slowness, suites):
    text = subprocess.run(['meson', 'introspect', '--tests', build], check=True,
                          stdout=subprocess.PIPE).stdout
    for test in json.loads(text):
        name, limit = test['name'], test['timeout']
        if name in LEFT_OUT:
            continue
        command = [word.replace(build, '/zcs') for word in test['cmd']]
        environment = [f'{name}={value}' for name, value in test['env'].items()
                       if name.startswith('ZCS_')] + ['ZCS_TEST_OWN_MACHINE=1']
        for suite in suites_of(test).intersection(suites):
            if suite != 'netem':
                yield name, limit, environment + [f'ZCS_TEST_SLOWNESS={slowness}'], command
                continue
            yield (name.replace('net-', 'netem-', 1), limit * NETEM_SLOWNESS,
                   environment + [f'ZCS_TEST_SLOWNESS={slowness * NETEM_SLOWNESS}',
                                  'ZCS_TEST_NETEM=netem'], command)


# Not of the build: a script of init's
OWN = (('vm-vsock', 60, [], ['vsock-test', '/zcs/cli/zcsock']),)


def main(build, slowness, *suites):
    tests = [*plan(os.path.realpath(build), int(slowness), suites)]
    for name, limit, environment, command in tests + [*(OWN if 'vm' in suites else ())]:
        print(name, limit, ' '.join(environment), ' '.join(command), sep='\t')


main(*sys.argv[1:])
