#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the tables of kernels: docs/kernel-promises.md, and the one in README.md.

usage: tools/kernel-tables.py [--check] BUILD

Reads what the tests said on this machine (BUILD/meson-logs/testlog.json) and on the kernels that
`make check-vm` tried (BUILD/vm/results.tsv). A kernel that was not tried keeps its column.
--check writes nothing: it prints where the documents say otherwise, and ends with status 1 then.
"""
import fnmatch
import json
import os
import re
import subprocess
import sys

PROMISES = 'docs/kernel-promises.md'
README = 'README.md'
START, END = '<!-- kernels -->', '<!-- /kernels -->'
VERDICT = re.compile(r'(holds|broken|cannot tell) +\w+')
SKIPPED = re.compile(r'^\[  SKIPPED \] ([a-z]\w*)', re.MULTILINE)

HEAD = '''# What zcsock expects of the kernel

Each line is one behaviour of Linux that the library leans on, shown live by the file of that name in
the directory `promises`. A column is a kernel: the one of the machine that CI runs on, and those that
`make check-vm` boots. This page is written by `tools/kernel-tables.py` from such runs.

* holds: it was seen to be so.
* broken: it was seen to be otherwise.
* cannot tell: it could not be tried there, for want of a right, a device, memory or time.

The last column is what the library does where a promise is broken. "Relied upon" means that it does not
notice: there the tests on each kernel are the guard.

'''

# What the README calls it, and the tests that must have passed for it. TEST/CASE: that case of it
# must not have been skipped.
FEATURES = (
    ('TCP, send: `MSG_ZEROCOPY`',
     'net-bulk net-adopt net-close net-storm net-limits net-poll net-fork net-foreign net-end'),
    ('TCP, send: io_uring', 'net-ring-* net-uring/ring__is_used'),
    ('TCP, send a file: `sendfile`', 'net-file net-ring-file'),
    ('TCP, receive: `TCP_ZEROCOPY_RECEIVE`',
     'net-span net-lowat net-inside net-trust net-mended_recv net-stamps'),
    ('TCP, receive to a file: `O_DIRECT`', 'net-to_file'),
    ('TCP, receive and forward', 'net-relay net-ring-relay'),
    ('TCP, from and to a pipe: `splice`', 'net-pipe net-ring-pipe'),
    ('UDP, send: `MSG_ZEROCOPY`, `UDP_SEGMENT`', 'net-udp'),
    ('UDP, receive, by copying: `UDP_GRO`', 'net-udp_recv promises-rx_udp_train_comes_whole'),
    ('VSOCK streams, send: `MSG_ZEROCOPY`',
     'net-vsock vm-vsock promises-tx_vsock_takes_option'),
    ('VSOCK streams, receive, by copying', 'net-vsock vm-vsock'),
    ('UNIX and MPTCP streams, both ways, by copying',
     'net-refuse/unix__stream net-refuse/mptcp__pair'),
    ('kernel TLS, also switched on later, both ways, by copying',
     'net-refuse/tls__in_use net-refuse/tls__switched_on_later '
     'net-ring-refuse/tls__switched_on_later'),
    ('no rights, no locked memory, the system calls of a container', 'net-confined'),
    ('io_uring switched off by `kernel.io_uring_disabled`',
     'net-confined/confined__io_uring_disabled'),
    ('1 % loss, 20 ms delay, reordering, duplication', 'netem-*'),
)


def verdict(name, text):
    """What a promise says of itself; None for other tests."""
    found = VERDICT.findall(text) if name.startswith('promises-') else None
    return found[-1] if found else None


def here(build):
    """The tests of this machine: name to result, and what was skipped."""
    results = {}
    with open(f'{build}/meson-logs/testlog.json', encoding='utf-8') as log:
        for test in map(json.loads, log):
            name = test['name'].split(' / ')[-1]
            text = test.get('stdout', '')
            result = {'OK': 'pass', 'SKIP': 'skip'}.get(test['result'], 'fail')
            results[name] = verdict(name, text) or result
            results.update((f'{name}/{case}', 'skip') for case in SKIPPED.findall(text))
    return {'.'.join(os.uname().release.split('.')[:2]): results}


def elsewhere(build):
    """The same for each kernel of the virtual machines."""
    kernels = {}
    try:
        with open(f'{build}/vm/results.tsv', encoding='utf-8') as file:
            rows = [line.rstrip('\n').split('\t') for line in file if not line.startswith('#')]
    except OSError:
        return {}
    for series, _, name, result, _ in rows:
        kernels.setdefault(series, {})[name] = result
    return kernels


def feature(tests, results):
    """yes, no, what is done instead, a dash when it could not be tried; None: not all was run."""
    outcome = set()
    for pattern in tests.split():
        test, _, case = pattern.partition('/')
        names = fnmatch.filter((name for name in results if '/' not in name), test)
        if not names:
            return None
        outcome |= {results[name] for name in names}
        outcome |= {'skip'} if case and results.get(pattern) == 'skip' else set()
    if 'fail' in outcome:
        return 'no'
    if 'broken' in outcome:
        return 'copies'
    return '-' if outcome & {'skip', 'cannot tell'} else 'yes'


def rows(text, after):
    """The cells of the table that begins with a line that starts with `after`."""
    lines = iter(text.split('\n'))
    for line in lines:
        if line.startswith(after):
            break
    else:
        return [], {}
    table = [re.split(r' \| ', line.strip('| ')) for line in [line, *lines]
             if line.startswith('|') and not line.startswith('|---')]
    return table[0], {row[0]: row for row in table[1:]}


def old_columns(text, after):
    """Of a table in a document: kernel, name of the row, to the cell."""
    head, table = rows(text, after)
    cells = {}
    for column, title in enumerate(head):
        match = re.fullmatch(r'(?:Linux )?(\d+\.\d+)', title)
        for name, row in table.items() if match else []:
            cells.setdefault(match.group(1), {})[name] = row[column]
    return cells


def merged(old, new):
    kernels = sorted({*old, *new}, key=lambda k: [int(n) for n in k.split('.')])
    return {kernel: {**old.get(kernel, {}), **new.get(kernel, {})} for kernel in kernels}


def line(*cells):
    return '| ' + ' | '.join(cells) + ' |\n'


def promise_table(promises, kernels):
    text = HEAD + line('promise', 'sentence', *(f'Linux {k}' for k in kernels),
                       'where it is broken', 'defined in')
    text += '|' + '---|' * (4 + len(kernels)) + '\n'
    for name, sentence, source, otherwise in promises:
        cells = (seen.get(f'`{name}`', 'cannot tell') for seen in kernels.values())
        text += line(f'`{name}`', sentence, *cells, otherwise, source)
    return text


def feature_table(kernels):
    text = line('Linux', *kernels) + '|' + '---|' * (1 + len(kernels)) + '\n'
    for name, _ in FEATURES:
        text += line(name, *(seen.get(name, '-') for seen in kernels.values()))
    return text


def differences(document, old, new):
    for kernel in sorted({*old} & {*new}):
        for name, cell in new[kernel].items():
            if old[kernel].get(name) != cell:
                yield f'{document}: {name} on Linux {kernel} is "{cell}", ' \
                      f'not "{old[kernel].get(name, "missing")}"'


def renamed():
    """Cases that a feature names and its test has not."""
    for name, tests in FEATURES:
        for test, _, case in (pattern.partition('/') for pattern in tests.split()):
            suite, _, short = test.replace('-ring-', '-').partition('-')
            if case and f' {case}(' not in read(f'tests/{suite}/test_{short}.c'):
                yield f'{README}: {name}: {test} has no case {case}'


def stale(page, promises):
    _, table = rows(page, '| promise ')
    for name, *words in promises:
        row = table.get(f'`{name}`')
        if not row or [row[1], row[-1], row[-2]] != words:
            yield f'{PROMISES}: the words of {name} are not those of promises/{name}.c'


def read(path):
    try:
        with open(path, encoding='utf-8') as file:
            return file.read()
    except OSError:
        return ''


def write(path, text):
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def main(*args):
    check, build = '--check' in args, args[-1]
    listed = subprocess.run([f'{build}/promises/promises', '--list'], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    promises = [row.split('\t') for row in listed.splitlines()]
    kernels = merged(here(build), elsewhere(build))
    told = {kernel: {f'`{row[0]}`': seen[f'promises-{row[0]}'] for row in promises
                     if f'promises-{row[0]}' in seen} for kernel, seen in kernels.items()}
    can = {kernel: {name: word for name, word in
                    ((name, feature(tests, seen)) for name, tests in FEATURES) if word}
           for kernel, seen in kernels.items()}
    page, readme = read(PROMISES), read(README)
    old_told, old_can = old_columns(page, '| promise '), old_columns(readme, '| Linux ')
    if check:
        found = [*renamed(), *stale(page, promises), *differences(PROMISES, old_told, told),
                 *differences(README, old_can, can)]
        print(*found, sep='\n', end='\n' if found else '')
        return bool(found)
    write(PROMISES, promise_table(promises, merged(old_told, told)))
    before, rest = readme.split(START)
    write(README, before + START + '\n\n' + feature_table(merged(old_can, can)) + '\n' + END +
          rest.split(END)[1])
    return 0


sys.exit(main(*sys.argv[1:]))
