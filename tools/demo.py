#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Moves 1 GiB of random bytes between two processes three times and says what was copied, and why;
then measures sending and receiving in the lab, where nothing has to be copied.

usage: tools/demo.py [COMMAND]      COMMAND: default build/cli/zcsock
"""
import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile

GIB = 1 << 30
LIMIT = 600  # seconds for one run
MTU = 57396  # 14 pages of payload in each segment, 20 + 20 + 12 bytes in front of them
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def fail(text):
    sys.exit(f'demo: {text}')


# ---- one run ---------------------------------------------------------------------------------------

def last_json(process, who):
    out, err = process.communicate(timeout=LIMIT)
    lines = out.splitlines()
    if process.returncode != 0 or not lines:
        fail(f'{who} failed: {err.strip() or process.returncode}')
    return json.loads(lines[-1])


def start(*args):
    return subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def move(command, directory, send_args, recv_args):
    """What both sides report, as a dict; the received file is compared and removed."""
    file, copy = os.path.join(directory, 'file'), os.path.join(directory, 'received')
    receiver = start(command, 'recv', '--json', '--listen', '127.0.0.1:0', '-o', copy, *recv_args)
    sender = None
    try:
        line = receiver.stdout.readline()
        if not line:
            fail('zcsock recv failed: ' + receiver.stderr.read().strip())
        sender = start(command, 'send', '--json', *send_args, file, json.loads(line)['url'])
        sent = last_json(sender, 'zcsock send')
        received = last_json(receiver, 'zcsock recv')
    finally:
        for process in (sender, receiver):
            if process and process.poll() is None:
                process.kill()
                process.wait()
    hashes = {side['files'][0]['xxh3'] for side in (sent, received)}
    same = (len(hashes) == 1 and sent['checksum'] == received['checksum'] == 'ok' and
            filecmp.cmp(file, copy, shallow=False))
    os.unlink(copy)
    return {'sent': sent, 'received': received, 'same': same}


def in_a_namespace(command, directory, *args):
    """As move, in a network of its own. (result, None) or (None, what is lacking)."""
    for tool in ('unshare', 'ip'):
        if not shutil.which(tool):
            return None, f'{tool} is not installed'
    user = [] if os.geteuid() == 0 else ['--map-root-user']
    enter = ['unshare', *user, '--net', '--']
    setup = f'ip link set lo mtu {MTU} up'
    probe = subprocess.run([*enter, 'sh', '-c', setup], stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True, check=False)
    if probe.returncode != 0:
        lacking = 'root' if user else 'the right to make a network namespace'
        return None, f'it lacks {lacking} ({probe.stderr.strip()})'
    inside = subprocess.run([*enter, 'sh', '-c', setup + ' && exec "$@"', 'sh', sys.executable,
                             os.path.abspath(__file__), '--inside', command, directory,
                             json.dumps(args)], stdout=subprocess.PIPE, text=True, check=False)
    if inside.returncode != 0:
        sys.exit(1)  # it said why
    return json.loads(inside.stdout), None


# ---- the lab -----------------------------------------------------------------------------------------

def measure_lab(command):
    """(rows of zcsock bench by direction and mode, None) or (None, what is lacking)."""
    bench = subprocess.run([command, 'bench', '--json', '-', '--direction', 'tx,rx', '--path',
                            'sink,source', '--family', 'tcp4', '--size', '1M', '--mode',
                            'copy,zerocopy', '--samples', '9'], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, check=False, timeout=LIMIT)
    if bench.returncode != 0:
        return None, bench.stderr.strip().split('\n')[-1]
    rows = {}
    for row in json.loads(bench.stdout)['rows']:
        if 'failed' in row:
            return None, row['failed']
        rows[row['direction'], row['mode']] = row
    return rows, None


def lab_figures(row):
    cpu = f"{row['cpu_us_per_mib'] * 1024 / 1000:.0f}"
    speed = f"{row['gbytes_per_s']:.2f}"
    if row['direction'] == 'tx':
        return [speed, cpu, '', '', f"{row['zerocopied_pct']:.1f}", '', '']
    return [speed, '', cpu, '', '', f"{row['mapped_pct']:.1f}", '']


def lab_lines(command):
    """Lines of the table, and notes."""
    rows, lacking = measure_lab(command)
    if lacking:
        return [], [f'  4, 5: the lab was not run: {lacking}']
    shown = [('4 lab: lent, sink', rows['tx', 'zerocopy']),
             ('5 lab: mapped, source', rows['rx', 'zerocopy'])]
    notes = [f"  {name[0]}: {row['ratio']:.2f} of the CPU that copying takes there"
             for name, row in shown]
    return [[name] + lab_figures(row) for name, row in shown], notes


# ---- what is shown ---------------------------------------------------------------------------------

def figures(result):
    sent, received = result['sent'], result['received']
    per_gib = GIB / sent['bytes']
    moving = max(received['seconds'] - received['sync_seconds'], 1e-3)
    return [f"{received['bytes'] / moving / 1e9:.2f}", f"{sent['cpu_ms'] * per_gib:.0f}",
            f"{received['cpu_ms'] * per_gib:.0f}", f"{sent['lent_pct']:.1f}",
            f"{sent['uncopied_pct']:.1f}", f"{received['mapped_pct']:.1f}",
            'ok' if result['same'] else 'WRONG']


def words(side):
    """The reasons behind at least half a percent of the bytes, the largest first."""
    reasons = sorted(side['reasons'], key=lambda reason: -reason['bytes'])
    said = '; '.join(reason['reason'] for reason in reasons
                     if reason['bytes'] >= side['bytes'] / 200)
    way = side.get('file')
    return said or (f"{way['way']}: {way['why']}" if way else 'no reason was given')


def explanations(number, result):
    sent, received = result['sent'], result['received']
    low = [f'{name} {sent[key]:.1f} %'
           for name, key in (('flagged', 'lent_pct'), ('sent without a copy', 'uncopied_pct'))
           if sent[key] < 99]
    if low:
        yield f"  {number}: {', '.join(low)}: {words(sent)}"
    if received['mapped_pct'] < 99:
        yield f"  {number}: received mapped {received['mapped_pct']:.1f} %: {words(received)}"


def show(rows):
    heads = [['', 'speed', 'CPU ms/GiB', 'CPU ms/GiB', 'sent %', 'sent %', 'received %', ''],
             ['', 'GB/s', 'sender', 'receiver', 'flagged', 'uncopied', 'mapped', 'checksum']]
    widths = [max(len(row[i]) for row in rows + heads) for i in range(len(heads[0]))]
    for row in heads + rows:
        print('  '.join([row[0].ljust(widths[0])] +
                        [text.rjust(width) for text, width in zip(row[1:], widths[1:])]).rstrip())


# ---- before and after --------------------------------------------------------------------------------

def available_memory():
    with open('/proc/meminfo', encoding='ascii') as info:
        for line in info:
            if line.startswith('MemAvailable:'):
                return int(line.split()[1]) * 1024
    return 0


def place():
    """A directory for the file and its copy: in memory if that is large, so that no disk is timed."""
    need = 2 * GIB + (256 << 20)
    choices = [os.environ.get('TMPDIR')]
    if available_memory() > 3 * need:
        choices.append('/dev/shm')
    for choice in choices + ['/var/tmp', '/tmp']:
        if choice and os.access(choice, os.W_OK) and shutil.disk_usage(choice).free > need:
            return choice
    return fail('2.25 GiB of space are needed in $TMPDIR, /dev/shm, /var/tmp or /tmp')


def random_file(path):
    with open(path, 'wb') as file:
        for _ in range(GIB >> 24):
            file.write(os.urandom(1 << 24))


def touch(path):
    """Memory that a virtual machine never used is slow the first time: no run shall pay for that."""
    random_file(path)
    os.unlink(path)


def demo(command):
    ways = [('1 copying', ['--copy'], ['--copy']), ('2 as zcsock chooses', [], []),
            ('3 lent and mapped', ['--zerocopy'], ['--zerocopy', '--trust-peer'])]
    rows, notes, good = [], [], True
    directory = tempfile.mkdtemp(prefix='zcsock-demo-', dir=place())
    try:
        print(f'1 GiB of random bytes, in {directory}, over TCP between two processes:\n'
              f'1 and 2 over loopback; 3 over a loopback of its own with an MTU of {MTU}, where the '
              f'receiver\nis told to trust the sender: there whole pages arrive that can be mapped.\n',
              flush=True)
        random_file(os.path.join(directory, 'file'))
        touch(os.path.join(directory, 'received'))
        for number, (name, send_args, recv_args) in enumerate(ways, 1):
            if number < 3:
                result, lacking = move(command, directory, send_args, recv_args), None
            else:
                result, lacking = in_a_namespace(command, directory, send_args, recv_args)
            if lacking:
                notes.append(f'  3: not run: {lacking}')
                continue
            rows.append([name] + figures(result))
            notes.extend(explanations(number, result))
            good = good and result['same']
            if number == 3 and result['received']['mapped_pct'] < 90:
                notes.append('  3: FAILED: less than 90 % arrived mapped')
                good = False
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    lines, lab_notes = lab_lines(command)
    show(rows + lines)
    if notes:
        print('\nWhy not more:\n' + '\n'.join(notes))
    print('\nWhat is lent on one machine is copied by the kernel all the same, so that 3 cannot show '
          'what it gains;\n2 sends by sendfile, which is not copied there. 4 and 5 are against a partner that is '
          'not a socket:\nmessages of 1 MiB, on a pair of virtual devices that stand for a network card (zcsock-lab(1)).\n' +
          '\n'.join(lab_notes))
    return 0 if good else 1


def main():
    if len(sys.argv) == 5 and sys.argv[1] == '--inside':
        print(json.dumps(move(sys.argv[2], sys.argv[3], *json.loads(sys.argv[4]))))
        return 0
    command = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else
                              os.path.join(ROOT, 'build', 'cli', 'zcsock'))
    if not os.access(command, os.X_OK):
        fail(f'{command} does not exist: build it first (make)')
    return demo(command)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
