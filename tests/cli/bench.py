#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""zcsock bench: what it says, to people and to machines, and that nothing is left of it.

How fast anything is, or which of two modes is cheaper, is no matter here.
"""
import json
import os
import re
import shutil
import signal
import socket
import time

from kit import COMMAND, Command, LIMIT, Skip, check, main, read, test, wait_for, write

QUICK = ['--samples', '3', '--time', '5', '--hot']
MARK = 'ZCSOCK_TEST_MARK'
os.environ[MARK] = str(os.getpid())  # whatever is left behind has it in its environment
MANUAL = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      '../../docs/man/zcsock-bench.1.scd')
ORDINARY = 65534  # a user that is not root

MODES = {
    'tx': ['copy', 'zerocopy', 'adaptive', 'uring', 'raw-send', 'raw-msgzc', 'raw-uring',
           'raw-sendfile'],
    'udp': ['copy', 'zerocopy', 'adaptive', 'raw-udp', 'raw-udp-msgzc'],
    'rx': ['copy', 'zerocopy', 'adaptive', 'raw-recv', 'raw-fresh', 'raw-map', 'raw-trunc'],
    'pingpong': ['raw-epoll', 'copy', 'zerocopy', 'adaptive'],
    'relay': ['raw-relay', 'raw-splice', 'copy', 'zerocopy', 'adaptive'],
}
HOST_KEYS = {'zcsock', 'kernel', 'machine', 'processor', 'processors', 'last_level_cache',
             'memory', 'lab'}
NAMES = {'path', 'direction', 'family', 'size', 'mode', 'compared_with', 'samples', 'working_set',
         'touch'}
FIGURES = {'seconds', 'bytes', 'gbytes_per_s', 'cpu_us_per_mib', 'zerocopied_pct', 'mapped_pct',
           'syscalls_per_mib', 'instructions_per_call', 'notifications_per_mib', 'enobufs',
           'p50_us', 'p99_us', 'p999_us', 'ratio', 'ratio_spread_pct', 'settled'}
BAR_KEYS = {'measure', 'goal', 'at_least', 'figure', 'spread', 'verdict', 'note', 'why'}


# ---- running it ----------------------------------------------------------------------------------

lab_state = []


def needs_lab():
    """Skips where no lab can be, and only there: as root it is a failure."""
    if not lab_state:
        probe = Command('lab', 'run', 'true')
        probe.end()
        lab_state.append('' if probe.process.returncode == 0 else probe.err.strip())
    if 'needs root' in lab_state[0] or 'built without the lab' in lab_state[0]:
        raise Skip(lab_state[0])
    check(not lab_state[0], lab_state[0])


def bench(*args, code=0, says=None, **more):
    return Command('bench', *args, **more).end(code, says)


def one_line(run, text=''):
    check(run.err.count('\n') == 1 and run.err.startswith('zcsock bench: ') and text in run.err,
          f'not one line with {text!r}: {run.err!r}')


def refused(args, code, text, **more):
    """Nothing is measured, and one line says why."""
    run = bench(*args, code=code, says=text, **more)
    one_line(run)
    check(run.out == '', run.out)


def rows(*args, **more):
    return json.loads(bench('--json', '-', *QUICK, *args, **more).out)['rows']


def row_of(found, mode, **keys):
    match = [row for row in found if row['mode'] == mode and
             all(row[key] == value for key, value in keys.items())]
    check(len(match) == 1, f'{mode} {keys}: {len(match)} rows')
    return match[0]


def check_figures(row):
    """Whatever it is about, these are sane."""
    check('failed' not in row, row)
    check(row['bytes'] >= row['size'] and isinstance(row['bytes'], int), row)
    check(row['seconds'] > 0 and row['gbytes_per_s'] > 0 and row['cpu_us_per_mib'] > 0, row)
    check(row['samples'] == 3 and row['working_set'] >= row['size'], row)
    for key in ('zerocopied_pct', 'mapped_pct'):
        check(row[key] is None or 0 <= row[key] <= 100, row)
    check(row['ratio'] > 0 and row['ratio_spread_pct'] >= 0, row)
    check(row['settled'] is (row['ratio_spread_pct'] <= 3), row)
    pingpong = row['direction'] == 'pingpong'
    check((row['p50_us'] is not None) == pingpong, row)
    if pingpong:
        check(0 < row['p50_us'] <= row['p99_us'] <= row['p999_us'], row)


# ---- what is left ----------------------------------------------------------------------------------

def marked():
    """Processes of ours but this one, as command lines."""
    found = {}
    for name in os.listdir('/proc'):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            if f'{MARK}={os.getpid()}'.encode() in read(f'/proc/{name}/environ').split(b'\0'):
                found[int(name)] = read(f'/proc/{name}/cmdline').replace(b'\0', b' ').decode()
        except OSError:
            pass
    return found


def nothing_is_left():
    """Namespaces without a name or a process do not exist."""
    wait_for(lambda: not marked(), f'the end of {marked()}')


def workers():
    return [pid for pid, line in marked().items() if '--worker' in line]


def wait_for_worker():
    return wait_for(workers, 'a worker')


# ---- for people ------------------------------------------------------------------------------------

@test
def help_is_the_synopsis_of_the_manual(directory):
    page = read(MANUAL).decode()
    synopsis = page.split('# SYNOPSIS')[1].split('# ')[0]
    usage = Command('bench', '--help').end(0).out
    check(usage == bench('-h').out == Command('help', 'bench').end(0).out)
    check(usage.startswith('usage: zcsock bench '))
    check(all(len(line) <= 73 for line in usage.splitlines()), 'a manual page indents by 7')
    check(re.sub('[*_+]', '', synopsis).split() == usage.removeprefix('usage: ').split(), synopsis)
    for option in re.findall('--[a-z-]+', usage):
        check(f'\n*{option}*' in page, f'{option} is not explained')


@test
def manual_names_every_mode_and_key(directory):
    page = read(MANUAL).decode()
    modes = page.split('# MODES')[1].split('\n# ')[0]
    named = set(re.findall(r'^[|:]\[? +\*([a-z-]+)\*$', modes, re.M))
    check(named == {mode for group in MODES.values() for mode in group}, named)
    keys = page.split('# JSON')[1].split('\n# ')[0]
    named = set(re.findall(r'\*([a-z0-9_]+)\*', ''.join(re.findall(r'^\|\[? +(.*)$', keys, re.M))))
    known = HOST_KEYS | NAMES | FIGURES | BAR_KEYS | {'failed', 'schema', 'host', 'rows',
                                                      'explained'}
    check(named == known, named ^ known)


@test
def table_and_sentence(directory):
    run = bench(*QUICK, '--direction', 'tx,pingpong', '--path', 'loopback', '--family', 'tcp4',
                '--size', '64K', '--mode', 'copy,zerocopy')
    check(re.search(r'^Sending over loopback.* \(tcp4\)$', run.out, re.M), run.out)
    check(re.search(r'^Ping-pong over loopback.* \(tcp4\)$', run.out, re.M), run.out)
    for words in (r'  size +mode +GB/s +CPU us/MiB +ratio +uncopied% +syscalls/MiB',
                  r'  size +mode +p50 us +p99 us +p99.9 us +ratio',
                  r'  64 KiB +copy( +[0-9.]+){2} +1 +0\.00 +([0-9.]+|-)',
                  r' +zerocopy( +[0-9.]+){2} +[0-9.]+ \+-[0-9]+%( \?)? +[0-9.]+ +([0-9.]+|-)'):
        check(re.search(f'^{words}$', run.out, re.M), f'{words} is not in {run.out}')
    check(all(len(line) <= 80 for line in run.out.splitlines()[2:]), run.out)
    tables, _, legend = run.out.partition('\nCPU  ')
    check((' ?\n' in tables or ' ? ' in tables) == ('\n?      cannot tell' in legend), run.out)
    check('\n\nThis run shows no crossover' in legend and legend.endswith('.\n'), run.out)


@test
def sentence_of_the_lab(directory):
    needs_lab()
    run = bench(*QUICK, '--direction', 'tx', '--path', 'sink', '--family', 'tcp4', '--size',
                '1K,1M', '--mode', 'copy,zerocopy')
    check(re.search('\n\n(The crossover of this machine|This machine has no single crossover)',
                    run.out) and run.out.endswith('.\n'), run.out)


# ---- for machines ----------------------------------------------------------------------------------

@test
def json_has_what_the_manual_says(directory):
    run = bench('--json', '-', *QUICK, '--direction', 'tx,rx,pingpong', '--path', 'loopback',
                '--family', 'tcp4', '--size', '64K', '--mode', 'copy,zerocopy')
    check(run.out[0] == '{' and run.out.endswith('}\n'), run.out)
    report = json.loads(run.out)
    check(set(report) == {'schema', 'host', 'rows'} and report['schema'] == 1, run.out)
    check(set(report['host']) == HOST_KEYS, report['host'])
    check(report['host']['kernel'] == os.uname().release and report['host']['lab'] is False)
    check(report['host']['processors'] == len(os.sched_getaffinity(0)), report['host'])
    check(report['host']['last_level_cache'] > 1 << 16 and report['host']['memory'] > 1 << 20)
    check(len(report['rows']) == 6, run.out)
    for row in report['rows']:
        check(set(row) == NAMES | FIGURES, row)
        check_figures(row)
        check(row['path'] == 'loopback' and row['size'] == 65536 and row['touch'] is False)
        check(row['compared_with'] == 'copy' and row['instructions_per_call'] is None, row)
        check(row['working_set'] == 1 << 20, row)
        if row['mode'] == 'copy':
            check(row['ratio'] == 1 and row['settled'] is True, row)
    sent = [row for row in report['rows'] if row['direction'] == 'tx']
    check(row_of(sent, 'copy')['zerocopied_pct'] == 0, sent)
    check(row_of(sent, 'zerocopy')['zerocopied_pct'] < 10, sent)
    received = [row for row in report['rows'] if row['direction'] == 'rx']
    check(row_of(received, 'copy')['mapped_pct'] == 0, received)


@test
def lab_shows_what_loopback_cannot(directory):
    needs_lab()
    report = json.loads(bench('--json', '-', *QUICK, '--direction', 'tx,rx', '--path',
                              'sink,source', '--family', 'tcp4,tcp6', '--size', '1M', '--mode',
                              'copy,zerocopy,raw-map', '--time', '50').out)
    check(report['host']['lab'] is True and len(report['rows']) == 10, report)
    for family in ('tcp4', 'tcp6'):
        for path, key in (('sink', 'zerocopied_pct'), ('source', 'mapped_pct')):
            copy = row_of(report['rows'], 'copy', path=path, family=family)
            zerocopy = row_of(report['rows'], 'zerocopy', path=path, family=family)
            check_figures(copy)
            check_figures(zerocopy)
            # what is lent, up to 64 messages, is told of after the sample
            check(copy[key] == 0 and zerocopy[key] > 80, (copy, zerocopy))
        check(row_of(report['rows'], 'raw-map', family=family)['mapped_pct'] > 90, report)


@test
def json_in_a_file(directory):
    write('file', b'x' * 100000)  # a longer one that was there before
    args = [*QUICK, '--direction', 'pingpong', '--path', 'loopback', '--size', '64', '--family',
            'tcp4']
    run = bench('--json', 'file', *args)
    check('Ping-pong' in run.out and '"schema"' not in run.out, run.out)
    report = json.loads(read('file'))
    check([row['mode'] for row in report['rows']] == MODES['pingpong'], report)
    run = bench('--json', '/dev/full', *args, code=1, says='/dev/full: ')
    one_line(run)


@test
def json_that_cannot_be_written(directory):
    """That is said before anything is measured."""
    for path in ('no-such/file', '.', ''):
        refused(['--json', path], 1, f'zcsock bench: {path}: ')


# ---- what is refused ---------------------------------------------------------------------------------

@test
def bad_values(directory):
    for option, values in {
            '--size': ('', '0', 'x', '-1', '1T', '1k', '4K,', ',4K', '4K,,8K', '65M', '1G1',
                       '18446744073709551616', '17179869185G', ' 4K'),
            '--area': ('', '0', '4095', '2G', 'x', '-4096'),
            '--mtu': ('', '0', '1279', '65536', 'x'),
            '--in-flight': ('', '0', 'x', '-1', '1048577'),
            '--lab': ('', 'rtt', 'rtt=', 'rtt=1', 'nosuch=1', 'rtt=1ms,', 'loss=2'),
            '--samples': ('', '0', '2', '1001', '9x', '-9', '1e1'),
            '--time': ('', '0', '10001', '5s', '-1'),
            '--direction': ('', 'up', 'tx,', 'tx,rx,up', 'TX'),
            '--path': ('', 'disk', 'loopback,', 'sink sink'),
            '--family': ('', 'tcp', 'tcp4,tcp5', 'udp'),
            '--mode': ('', 'raw', 'copy,', 'copy,fast', 'a\nb'),
            '--peer': ('', ':7100', 'host:', 'host:x', 'host:0x1', 'host:65534', '[::1', '[::1]x',
                       '[]:7100', 'x' * 400),
            '--serve': ('', 'host', 'host:', ':7100', '-1', '65534', '99999999999', '[::1]', 'x:y',
                        '127.0.0.1:65534')}.items():
        for value in values:
            refused([f'{option}={value}'], 2, f'--{option[2:]}')
    refused(['--hot', '--area', '1M'], 2, 'exclude each other')
    refused(['--serve', '0', '--hot'], 2, '--serve stands alone')
    refused(['--serve', '0', '--bars'], 2, '--serve stands alone')
    for args in (['--full'], ['--hot'], ['--touch'], ['--instructions'], ['--area', '1M'],
                 ['--mtu', '9000'], ['--tap'], ['--in-flight', '1'], ['--lab', 'rtt=1ms'],
                 ['--peer', '127.0.0.1'], ['--direction', 'tx'],
                 ['--path', 'sink'], ['--family', 'tcp4'], ['--size', '4K'], ['--mode', 'copy']):
        for both in (['--bars', *args], [*args, '--bars']):
            refused(both, 2, f'--bars and {args[0]} exclude each other')
    refused(['--mode', ','.join(['copy'] * 13)], 2, '12 modes at the most')
    refused(['--size', ','.join(['4K'] * 17)], 2, '16 sizes at the most')


@test
def wrong_usage(directory):
    for args in (['--nonsense'], ['file'], ['--hot', 'file'], ['--json'], ['--hot=1'],
                 ['--worker']):
        bench(*args, code=2, says='\nusage: zcsock bench ')


@test
def combinations_without_a_scenario(directory):
    for args in (['--direction', 'rx', '--path', 'sink'], ['--mode', 'raw-map', '--direction', 'tx'],
                 ['--path', 'peer'], ['--family', 'udp6', '--size', '64K'],
                 ['--direction', 'relay', '--path', 'loopback'],
                 ['--peer', '127.0.0.1', '--path', 'loopback']):
        refused(args, 2, 'nothing is measured in that combination')


# ---- who may -----------------------------------------------------------------------------------------

@test
def without_root(directory):
    more = {'env': {'HOME': '/'}}
    if os.geteuid() == 0:
        more |= {'user': ORDINARY, 'group': ORDINARY, 'extra_groups': []}
    args = ['--direction', 'tx', '--family', 'tcp4', '--size', '64K', '--mode', 'copy,zerocopy']
    try:
        run = Command('bench', '--json', '-', *QUICK, *args, **more)
    except PermissionError:
        raise Skip(f'user {ORDINARY} may not run {COMMAND}') from None
    run.end(0, 'no lab, so over loopback only: ')
    one_line(run)
    report = json.loads(run.out)
    check(report['host']['lab'] is False, report['host'])
    check([(row['path'], row['mode']) for row in report['rows']] ==
          [('loopback', 'copy'), ('loopback', 'zerocopy')], report)
    for row in report['rows']:
        check_figures(row)
    run = bench(*QUICK, *args, says='no lab, so over loopback only: ', **more)
    check('Sending over loopback' in run.out and 'This run shows no crossover' in run.out, run.out)
    refused(['--path', 'sink', '--size', '64K'], 1, 'zcsock bench: no lab: ', **more)


# ---- all modes ---------------------------------------------------------------------------------------

def check_modes(found, direction):
    check([row['mode'] for row in found] == MODES[direction], found)
    for row in found:
        if row['mode'] in ('uring', 'raw-uring') and 'failed' in row:
            check('uring' in row['failed'], row)
        else:
            check_figures(row)


@test
def modes_of_sending(directory):
    check_modes(rows('--direction', 'tx', '--path', 'loopback', '--family', 'tcp4', '--size',
                     '64K'), 'tx')
    check_modes(rows('--path', 'loopback', '--family', 'udp4', '--size', '14000'), 'udp')


@test
def modes_of_receiving(directory):
    check_modes(rows('--direction', 'rx', '--path', 'loopback', '--family', 'tcp6', '--size',
                     '256K'), 'rx')


@test
def modes_of_the_lab(directory):
    needs_lab()
    found = rows('--direction', 'tx', '--path', 'sink', '--family', 'tcp4', '--size', '64K')
    check_modes(found, 'tx')
    for mode in ('raw-msgzc', 'raw-uring', 'uring'):
        row = row_of(found, mode)
        # a sample this short ends before its last notifications are read
        check('failed' in row or row['zerocopied_pct'] > 50, row)
    check(row_of(found, 'raw-send')['zerocopied_pct'] is None, found)
    check_modes(rows('--path', 'sink', '--family', 'udp6', '--size', '57600'), 'udp')


@test
def a_tap_makes_the_kernel_copy(directory):
    needs_lab()
    args = ('--path', 'sink', '--family', 'tcp4', '--size', '64K', '--mode', 'zerocopy,raw-msgzc')
    for mode in ('zerocopy', 'raw-msgzc'):
        check(row_of(rows(*args), mode)['zerocopied_pct'] > 90, mode)
        check(row_of(rows('--tap', *args), mode)['zerocopied_pct'] == 0, mode)


@test
def one_message_in_flight(directory):
    """Each waits for a round trip, unless it was copied."""
    needs_lab()
    found = rows('--in-flight', '1', '--lab', 'rtt=1ms', '--path', 'sink', '--family', 'tcp4',
                 '--size', '64K', '--mode', 'copy,zerocopy,raw-msgzc')
    for mode in ('zerocopy', 'raw-msgzc'):
        check(row_of(found, mode)['gbytes_per_s'] <= 65536 / 1e6, found)
    check(row_of(found, 'copy')['gbytes_per_s'] > 2 * 65536 / 1e6, found)


@test
def mtu_of_other_networks(directory):
    """Frames of the source must fit; those that are no whole pages cannot be mapped."""
    needs_lab()
    for mtu in ('1280', '65535'):
        found = rows('--path', 'sink,source', '--family', 'tcp6', '--size', '64K', '--mode',
                     'raw-msgzc,raw-map', '--mtu', mtu, '--time', '50')
        # in a shorter sample those that are not read when it ends are a part that counts
        check(row_of(found, 'raw-msgzc')['zerocopied_pct'] > 90, found)
        mapped = row_of(found, 'raw-map')['mapped_pct']
        check(mapped == 0 if mtu == '1280' else mapped > 90, found)


@test
def modes_of_relaying(directory):
    needs_lab()
    check_modes(rows('--direction', 'relay', '--family', 'tcp4'), 'relay')


@test
def a_mode_that_fails_ends_no_other(directory):
    """raw-map wants whole pages. What there is to compare with is what fails here."""
    args = ['--direction', 'rx', '--path', 'loopback', '--family', 'tcp4', '--size', '5000',
            '--mode', 'raw-map,raw-recv,copy']
    found = rows(*args)
    failed = row_of(found, 'raw-map')
    check(failed['failed'] == 'raw-map: the size must be whole pages', failed)
    check(set(failed) == NAMES | FIGURES | {'failed'} and failed['samples'] == 0, failed)
    check(all(failed[key] is None for key in FIGURES), failed)
    for mode in ('raw-recv', 'copy'):
        row = row_of(found, mode)
        check(row['gbytes_per_s'] > 0 and row['ratio'] is None and row['settled'] is None, row)
    out = bench(*QUICK, *args).out
    check(re.search('raw-map +not measured: raw-map: the size must be whole pages\n', out), out)
    check(re.search('raw-recv +[0-9]', out) and re.search('copy +[0-9]', out), out)


@test
def when_all_fail(directory):
    run = bench('--json', '-', *QUICK, '--direction', 'rx', '--path', 'loopback', '--family', 'tcp4',
                '--size', '5000', '--mode', 'raw-map', code=1,
                says='nothing could be measured: raw-map: ')
    one_line(run)
    check('failed' in json.loads(run.out)['rows'][0], run.out)


@test
def modes_in_your_order(directory):
    """The first one is what the others are compared with; a mode beside itself shows the noise."""
    found = json.loads(bench('--json', '-', '--samples', '3', '--time', '5', '--direction', 'tx',
                             '--path', 'loopback', '--family', 'tcp4', '--size', '64K,4K', '--mode',
                             'raw-send,copy,raw-send', '--area', '2M', '--touch').out)['rows']
    check([(row['size'], row['mode']) for row in found] ==
          [(size, mode) for size in (65536, 4096) for mode in ('raw-send', 'copy', 'raw-send')])
    check(all(row['compared_with'] == 'raw-send' and row['touch'] for row in found), found)
    check(all(row['working_set'] == 2 << 20 for row in found), found)


# ---- what the library says ---------------------------------------------------------------------------

def explained_by(text):
    """Every line is indented, and it is about sending and receiving."""
    check(re.search('^ +send: ', text, re.M) and re.search('^ +receive: ', text, re.M), text)
    check(all(line.startswith('    ') for line in text.splitlines()), text)


@test
def explained_below_its_row(directory):
    args = ['--direction', 'tx,rx', '--path', 'loopback', '--family', 'tcp4', '--size', '64K',
            '--mode', 'copy,adaptive,zerocopy']
    run = bench(*QUICK, *args, '--explain')
    parts = re.findall(r'^ +adaptive .*\n((?:    .*\n)*?) +zerocopy ', run.out, re.M)
    check(len(parts) == 2, run.out)
    for part in parts:
        explained_by(part)
    check(run.out.count('send: ') == 2, run.out)
    check('send: ' not in bench(*QUICK, *args).out)
    found = rows(*args, '--explain')
    for row in found:
        check(('explained' in row) == (row['mode'] == 'adaptive'), row)
        check(row['mode'] != 'adaptive' or re.match('send: .*\n', row['explained']), row)
    check(all('explained' not in row for row in rows(*args)))


@test
def explained_for_both_ends_of_a_relay(directory):
    needs_lab()
    row = row_of(rows('--direction', 'relay', '--family', 'tcp4', '--explain'), 'adaptive')
    check(row['explained'].count('send: ') == 2, row)


# ---- bars --------------------------------------------------------------------------------------------

BARS = ['--bars', '--samples', '3', '--time', '5']
BAR_LINE = (r'(.{56}) +(?:<=|>=) [0-9.]+ +([0-9.]+|-) +([0-9.]+%|-)  '
            r'(met|missed|cannot tell)(: .+)?( \(.+\))?')


def bars(*args, **more):
    """Their exit status says whether all are met, and this one's test whether that is so."""
    run = Command('bench', *BARS, '--json', 'bars', *args, **more).end()
    found = json.loads(read('bars'))
    check(run.process.returncode == (0 if all(bar['verdict'] == 'met' for bar in found) else 1),
          run.out)
    check(run.err == '', run.err)
    return run, found


def check_bar(bar):
    check(set(bar) - {'explained'} == BAR_KEYS, bar)
    check((bar['verdict'] == 'cannot tell') == (bar['why'] is not None), bar)
    if bar['figure'] is None:
        check(bar['verdict'] == 'cannot tell' and bar['spread'] is None, bar)
    elif bar['spread'] is not None and bar['spread'] > 0.03:
        check(bar['verdict'] == 'cannot tell' and 'spread' in bar['why'], bar)
    else:
        close = abs(bar['figure'] / bar['goal'] - 1) < 1e-5  # rounded on its way into the file
        met = bar['figure'] >= bar['goal'] if bar['at_least'] else bar['figure'] <= bar['goal']
        check(close or bar['verdict'] == ('met' if met else 'missed'), bar)


def check_table(out, found):
    """A heading, a line for each, and how many there are."""
    lines = out.split('\n\n')[0].splitlines()
    check(lines[0].split() == ['measure', 'goal', 'figure', 'spread', 'verdict'], out)
    check(len(lines) == len(found) + 2, out)
    for line, bar in zip(lines[1:], found):
        match = re.fullmatch(BAR_LINE, line)
        check(match and match[1].rstrip() == bar['measure'], line)
        check(match[4] == bar['verdict'] and (match[5] is None) == (bar['why'] is None), line)
        check((match[2] == '-') == (bar['figure'] is None), line)
    counts = [sum(bar['verdict'] == verdict for bar in found)
              for verdict in ('met', 'missed', 'cannot tell')]
    check(lines[-1] == f'{len(found)} bars: {counts[0]} met, {counts[1]} missed, '
          f'{counts[2]} cannot tell', out)


def without_figure(found):
    return [bar for bar in found if bar['figure'] is None]


@test
def bars_in_the_lab(directory):
    needs_lab()
    run, found = bars('--explain')
    for bar in found:
        check_bar(bar)
    check_table(run.out, found)
    for bar in without_figure(found):
        check(re.search('uring: |valgrind|system calls cannot be counted', bar['why']), bar)
    blocks = re.findall(r'^adaptive, (tx|rx|pingpong), [0-9]+ (?:B|KiB|MiB), (\w+):\n'
                        r'((?: .*\n)+)', run.out, re.M)
    check({block[:2] for block in blocks} ==
          {('tx', 'sink'), ('tx', 'loopback'), ('rx', 'source'), ('rx', 'loopback'),
           ('pingpong', 'loopback')}, run.out)
    for block in blocks:
        explained_by(block[2])
    told = [bar for bar in found if 'explained' in bar]
    check(len(told) == len(blocks) and
          all(' of adaptive to ' in bar['measure'] for bar in told), told)


@test
def bars_without_root(directory):
    more = {'env': {'HOME': '/'}}
    if os.geteuid() == 0:
        more |= {'user': ORDINARY, 'group': ORDINARY, 'extra_groups': []}
        os.chmod('.', 0o777)
    try:
        run, found = bars(**more)
    except PermissionError:
        raise Skip(f'user {ORDINARY} may not run {COMMAND}') from None
    check_table(run.out, found)
    check(run.process.returncode == 1 and '\nadaptive, ' not in run.out, run.out)
    for bar in found:
        check_bar(bar)
        check('explained' not in bar, bar)
        lab = ' sink ' in bar['measure'] or ' source ' in bar['measure']
        check(('no lab: ' in str(bar['why'])) == lab, bar)


@test
def bars_as_json_alone(directory):
    run = Command('bench', '--bars', '--json', '-')
    wait_for_worker()
    stop(run)
    found = json.loads(run.out)
    check(len(found) > 30 and all(bar['verdict'] == 'cannot tell' for bar in found[6:]), run.out)


# ---- instructions ------------------------------------------------------------------------------------

COUNTED = ['--direction', 'tx', '--path', 'loopback', '--family', 'tcp4', '--mode', 'raw-send',
           '--instructions', '--size']


def needs_valgrind():
    if not shutil.which('valgrind'):
        raise Skip('valgrind is not installed')
    if b'__asan_init' in read(COMMAND):
        raise Skip('valgrind does not run what was built with sanitizers')


@test
def instructions_are_the_same_each_time(directory):
    needs_valgrind()
    first, second = (rows(*COUNTED, '64K')[0]['instructions_per_call'] for _ in range(2))
    check(5 < first < 500 and abs(first / second - 1) < 0.02, (first, second))
    small = rows(*COUNTED, '256')[0]['instructions_per_call']
    check(abs(first - small) < 0.2 * first, f'{small} for 256 bytes, {first} for 64 KiB')


@test
def instructions_without_valgrind(directory):
    run = bench('--json', '-', *QUICK, *COUNTED, '64K,4K', env={'PATH': '/nonexistent'},
                says='no instructions were counted: valgrind is not installed')
    one_line(run)
    for row in json.loads(run.out)['rows']:
        check_figures(row)
        check(row['instructions_per_call'] is None, row)


# ---- how it ends -------------------------------------------------------------------------------------

LONG = ['--samples', '1000', '--time', '100', '--direction', 'tx', '--family', 'tcp4', '--size',
        '64K', '--mode', 'copy,zerocopy']


def stop(run, number=signal.SIGINT):
    """How long it took."""
    start = time.monotonic()
    run.process.send_signal(number)
    run.end(1, 'zcsock bench: stopped')
    took = time.monotonic() - start
    one_line(run)
    check(took < 2, f'ended after {took:.1f} s')
    nothing_is_left()


@test
def signals_end_it(directory):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        run = Command('bench', *LONG, '--path', 'loopback')
        wait_for_worker()
        time.sleep(0.3)  # it has begun
        stop(run, number)
        check(run.out == '', run.out)


@test
def signals_end_it_at_any_time(directory):
    for delay in (0.05, 0.1, 0.2, 0.4, 0.8):
        run = Command('bench', '--json', '-', '--full', '--samples', '3', '--time', '1')
        time.sleep(delay)
        stop(run)
        check(set(json.loads(run.out)) == {'schema', 'host', 'rows'}, run.out)


@test
def signals_end_the_lab(directory):
    needs_lab()
    run = Command('bench', *LONG, '--path', 'sink')
    wait_for_worker()
    time.sleep(0.3)
    stop(run)


@test
def signals_end_the_counting(directory):
    needs_valgrind()
    run = Command('bench', '--samples', '3', '--time', '1', *COUNTED, '4M')
    wait_for(lambda: [line for line in marked().values() if 'callgrind' in line], 'valgrind')
    stop(run)


@test
def a_kill_leaves_nothing(directory):
    for path in ('loopback', 'sink'):
        if path == 'sink':
            needs_lab()
        run = Command('bench', *LONG, '--path', path)
        wait_for_worker()
        run.process.kill()
        run.process.communicate(timeout=LIMIT)
        nothing_is_left()


# ---- between two machines ------------------------------------------------------------------------------

class Server(Command):
    def __init__(self, where):
        super().__init__('bench', '--serve', where)
        self.first = self.line()
        ports = [int(port) for port in re.findall(r'\d+', self.first)]
        check(len(ports) == 3 and ports[1:] == [ports[0] + 1, ports[0] + 2], self.first)
        self.port = ports[0]

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.end(-number)
        nothing_is_left()


def peer(host, *args, **more):
    return bench('--json', '-', *QUICK, '--peer', host, *args, **more)


def has_ipv6():
    try:
        with socket.create_server(('::1', 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def check_peer(server, host, family):
    found = json.loads(peer(f'{host}:{server.port}', '--size', '64K', '--mode',
                            'copy,zerocopy,adaptive').out)['rows']
    check([(row['direction'], row['mode']) for row in found] ==
          [(direction, mode) for direction in ('tx', 'rx', 'pingpong')
           for mode in ('copy', 'zerocopy', 'adaptive')], found)
    for row in found:
        check_figures(row)
        check(row['path'] == 'peer' and row['family'] == family, row)


@test
def serve_and_peer(directory):
    server = Server('127.0.0.1:0')
    check_peer(server, '127.0.0.1', 'tcp4')
    check_peer(server, 'localhost', 'tcp4')
    run = peer(f'127.0.0.1:{server.port}', '--family', 'tcp6', code=1, says='of another family')
    one_line(run)
    run = bench(*QUICK, '--peer', f'127.0.0.1:{server.port}', '--direction', 'tx', '--size', '64K')
    check('Sending to another machine (tcp4)' in run.out and 'rossover' in run.out, run.out)
    server.stop()


@test
def serve_and_peer_v6(directory):
    if not has_ipv6():
        raise Skip('there is no IPv6 here')
    server = Server('[::1]:0')
    check_peer(server, '[::1]', 'tcp6')
    server.stop(signal.SIGINT)


@test
def serve_any_address(directory):
    server = Server('0')
    for host in ('127.0.0.1',) + (('[::1]',) if has_ipv6() else ()):
        found = json.loads(peer(f'{host}:{server.port}', '--direction', 'pingpong', '--size', '64',
                                '--mode', 'raw-epoll').out)['rows']
        check_figures(found[0])
    server.stop(signal.SIGHUP)


@test
def serve_where_it_cannot(directory):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        place = f'127.0.0.1:{taken.getsockname()[1]}'
        refused(['--serve', place], 1, f'{place}: Address already in use')
    refused(['--serve', '203.0.113.7:7100'], 1, '203.0.113.7:7100: ')


def three_ports(nr):
    """Sockets that listen on the first nr of three ports in a row."""
    for first in range(20000, 30000, 3):
        found = []
        try:
            for port in range(first, first + 3):
                found.append(socket.socket())
                found[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                found[-1].bind(('127.0.0.1', port))
            for listener in found[:nr]:
                listener.listen(64)
            return first, found
        except OSError:
            for listener in found:
                listener.close()
    raise AssertionError('no three ports are free')


@test
def nobody_there(directory):
    for listening in range(3):
        port, found = three_ports(listening)
        refused(['--peer', f'127.0.0.1:{port}'], 1, f'127.0.0.1, port {port + listening}: '
                'Connection refused; is zcsock bench --serve running there?')
        for listener in found:
            listener.close()
    refused(['--peer', 'no-such-host.invalid'], 1, 'no-such-host.invalid: ')


@test
def somebody_silent(directory):
    """It waits for data that never comes, and yet ends when it is asked to."""
    port, found = three_ports(3)
    run = Command('bench', '--peer', f'127.0.0.1:{port}', '--direction', 'rx')
    wait_for_worker()
    time.sleep(0.3)
    stop(run)
    for listener in found:
        listener.close()


@test
def a_server_that_goes_away(directory):
    server = Server('127.0.0.1:0')
    run = Command('bench', '--json', '-', *LONG, '--peer', f'127.0.0.1:{server.port}')
    wait_for_worker()
    time.sleep(0.3)
    server.process.kill()
    run.end(1, 'nothing could be measured: ')
    one_line(run)
    check(all(row['failed'] for row in json.loads(run.out)['rows']), run.out)
    server.end()
    nothing_is_left()


main()
