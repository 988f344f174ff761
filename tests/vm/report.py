#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Says what became of the tests on one kernel.

usage: tests/vm/report.py SERIES PACKAGE VERSION RESULTS NAME...

Reads NAME.tap and NAME.log, what init and the kernel wrote in each of the machines of that kernel.
Prints one line per failure and skipped test, with VERBOSE one per test, and a summary; adds a line
per test to RESULTS. Exit status 1: failures.
"""
import os
import re
import sys

# Whatever the kernel says of itself that it should not have to say.
TROUBLE = re.compile(
    r'WARNING: |\bBUG\b|\bOops\b|Kernel panic|Call Trace|cut here|KASAN|KCSAN|KFENCE|KMSAN|UBSAN'
    r'|general protection|blocked for more than|soft lockup|hard LOCKUP|rcu.*(stalls|starved)'
    r'|refcount_t:|circular locking|recursive locking|suspicious RCU|inconsistent lock'
    r'|unregister_netdevice: waiting|page allocation failure|Out of memory')
SAID = re.compile(r'(holds|broken|cannot tell) +\w+(?:: (.*))?$')  # what a promise says of itself
LINE = re.compile(r'(not )?ok \d+ - (\S+) # (.*)')
SHOWN = 15


def read(path):
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            return [line.rstrip('\r\n') for line in file]
    except OSError:
        return []


def tests(lines):
    """Each test: name, result, what is said of it, its output if it failed."""
    found = []
    for line in lines:
        match = LINE.match(line)
        if match:
            bad, name, rest = match.groups()
            skipped = rest.startswith('SKIP')
            result = 'fail' if bad else 'skip' if skipped else 'pass'
            found.append((name, result, rest[5:] if skipped else rest, []))
        elif line.startswith('#   ') and found:
            found[-1][3].append(line[4:])
    return found


def verdict(name, result, said, output):
    """The result and its reason, or how long it took."""
    match = SAID.match(output[-1] if output else said)
    if name.startswith('promises-') and match:
        return match.group(1), match.group(2) or said
    return result, said if result == 'pass' or not output else output[-1]


def trouble(name, lines):
    """What the kernel of machine NAME complained of, once per test that it ran."""
    running, seen = 'the start', set()
    for line in lines:
        if 'zcsock test: ' in line:
            running = line.split('zcsock test: ')[1]
        elif TROUBLE.search(line) and running not in seen:
            seen.add(running)
            yield f'the kernel complains during {running}: {line} (see {name}.log)'


def ended(name, lines, found):
    planned = [line[3:] for line in lines if line.startswith('1..')]
    if '# done' in lines and planned == [str(len(found))]:
        return
    begun = [line.split('zcsock test: ')[1] for line in read(name + '.log')
             if 'zcsock test: ' in line]
    yield (f'the machine hung or died after {len(found)} tests, '
           f'during {begun[-1] if begun else "the start"} (see {name}.log)')


def tell(series, test, result, why, output):
    """What became of one test, in the words of tools/check.sh."""
    if result == 'fail':
        print(f'fail {series}: {test} ({why})')
        for line in output[-SHOWN:]:
            print('    ' + line)
    elif result in ('skip', 'cannot tell'):
        print(f'skip {series}: {test}: {why}')
    elif os.environ.get('VERBOSE'):
        print(f'pass {series}: {test} ({result}: {why})')


def results_of(lines):
    """Each test, and each case that was skipped within one: name, result, reason, output, failed."""
    for test, result, said, output in tests(lines):
        yield test, *verdict(test, result, said, output), output, result == 'fail'
        for line in output if result == 'pass' else []:
            if line.startswith('skipped '):
                yield f'{test}/{line.split()[-1]}', 'skip', 'its test says why', [], False


def main(series, package, version, results, *names):
    count = dict.fromkeys(('pass', 'fail', 'skip', 'holds', 'broken', 'cannot tell'), 0)
    troubles, rows, bad = [], [], False
    for name in names:
        lines = read(name + '.tap')
        for test, result, why, output, failed in results_of(lines):
            count[result] += 1
            bad |= failed
            rows.append('\t'.join((series, version, test, result, why)))
            tell(series, test, 'fail' if failed else result, why, output)
        troubles += [*trouble(name, read(name + '.log')), *ended(name, lines, tests(lines))]
    with open(results, 'a', encoding='utf-8') as file:
        file.writelines(row + '\n' for row in rows)
    for line in troubles:
        print(f'fail {series}: {line}')
    print(f"{series} ({package} {version}): {count['pass']} passed, {count['fail']} failed, "
          f"{count['skip']} skipped; of the promises {count['holds']} hold, {count['broken']} are "
          f"broken, {count['cannot tell']} cannot be told; {len(troubles)} complaints")
    return bool(troubles or bad)


sys.exit(main(*sys.argv[1:]))
