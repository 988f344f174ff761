#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The ways between a file and the connection: the bytes are right by each, and --json says which."""
import json
import os
import shutil
import signal
import tempfile
import time

from kit import (ACCEPT, Command, KEY, Listener, Recv, check, main, read, recv_with_key, send,
                 sender_peer, test, wait_for, write)

MIB = 1 << 20
SIZES = (0, 1, 4095, 4096, 4097, MIB - 1, MIB, MIB + 513, 9 * MIB + 12345)
NO_DIRECT = 'the file system does not write past the page cache'


def transfer(size, recv_args=(), send_args=(), out='out'):
    os.makedirs(out, exist_ok=True)
    data = os.urandom(size)
    write('file', data)
    receiver = Recv('-o', out, '--force', '--json', *recv_args)
    sender = send('--json', *send_args, 'file', receiver.url)
    receiver.end(0)
    check(read(out + '/file') == data, f'other bytes: {size} {recv_args} {send_args}')
    return sender.json['file'], receiver.json['file']


@test
def written_through_the_page_cache(directory):
    for size in SIZES:
        _, file = transfer(size, ['--file-way', 'write'])
        check(file == {'way': 'write', 'why': 'asked for', 'bytes_direct': 0}, file)


@test
def written_directly(directory):
    for more in ([], ['--copy'], ['--trust-peer', '--zerocopy']):
        for size in SIZES:
            _, file = transfer(size, ['--file-way', 'direct', *more])
            if file['why'] == NO_DIRECT:
                check(file['way'] == 'write' and file['bytes_direct'] == 0, file)
                continue
            check(file['way'] == 'direct' and file['why'] == 'asked for', file)
            check(file['bytes_direct'] <= size and file['bytes_direct'] % 512 == 0, file)
            check(size < 2 * MIB or file['bytes_direct'] > 0, file)


@test
def written_as_it_costs_less(directory):
    _, file = transfer(1000)
    check(file['way'] == 'write' and file['why'] in ('the file is small', NO_DIRECT), file)
    _, file = transfer(20 * MIB)
    if file['way'] == 'direct':
        check(file['why'] == 'it costs less' and file['bytes_direct'] > 10 * MIB, file)
    else:
        check(file['bytes_direct'] == 0 and file['why'], file)


@test
def written_directly_until_it_is_out_of_step(directory):
    """Loopback's packets end within pages: what is mapped there mostly does not fit the disk's blocks."""
    _, file = transfer(40 * MIB + 5, ['--trust-peer', '--zerocopy'], ['--zerocopy'])
    if file['way'] == 'write':
        check(file['why'] in (NO_DIRECT, "most of it was out of step with the file's blocks"), file)
    else:
        check(file['bytes_direct'] >= 20 * MIB, file)


@test
def written_where_nothing_is_direct(directory):
    """tmpfs, where there is one: asked for or not, all is well and it says why."""
    out = tempfile.mkdtemp(prefix='zcsock-test-', dir='/dev/shm')
    try:
        for way in ('direct', 'auto'):
            _, file = transfer(5 * MIB + 1, ['--file-way', way], out=out)
            check(file['way'] == 'direct' or file['why'] == NO_DIRECT, file)
    finally:
        shutil.rmtree(out)


@test
def a_sender_that_leaves(directory):
    """Nothing is left, and what was begun is reported."""
    os.mkdir('out')
    data = os.urandom(3 * MIB + 77)
    receiver = recv_with_key('-o', 'out', '--json', '--timeout', '5')
    peer = sender_peer(receiver)
    check(peer.offer(b'file', len(data)) == (7, 0))
    for at in range(0, len(data), 100001):
        peer.sock.sendall(data[at:at + 100001])
    peer.reset()
    receiver.end(1)
    check(receiver.json['file']['way'] in ('write', 'direct'), receiver.out)
    check(os.listdir('out') == [])


@test
def sent_by_each_way(directory):
    for way in ('read', 'sendfile', 'map'):
        for more in ([], ['--copy'], ['--zerocopy']):
            for size in SIZES:
                file, _ = transfer(size, send_args=['--file-way', way, *more])
                check(file == {'way': way, 'why': 'asked for'}, file)


@test
def sent_as_it_costs_less(directory):
    check(transfer(1000)[0] == {'way': 'read', 'why': 'the file is small'})
    check(transfer(20 * MIB)[0] == {'way': 'sendfile', 'why': 'it costs less'})
    file, _ = transfer(20 * MIB, send_args=['--zerocopy'])
    check(file == {'way': 'read', 'why': '--copy and --zerocopy are about memory'}, file)


@test
def standard_input_is_read(directory):
    receiver = Recv('--json', '-o', 'out')
    with open(write('file', os.urandom(2 * MIB + 3)), 'rb') as file:
        sender = send('--json', '--file-way', 'map', '-', receiver.url, stdin=file)
    receiver.end(0)
    check(sender.json['file']['way'] == 'read', sender.out)
    check(receiver.json['file']['why'] in ('the size is not known before', NO_DIRECT), receiver.out)
    check(read('file') == read('out'))


@test
def many_files_each_way(directory):
    os.mkdir('out')
    names = [write(f'f{i}', os.urandom(i * 300000 + i)) for i in range(12)]
    for way in ('read', 'sendfile', 'map'):
        receiver = Recv('-o', 'out', '--force')
        send('--file-way', way, *names, receiver.url)
        receiver.end(0)
        check(all(read(name) == read('out/' + name) for name in names), way)


def shrinking(way, size_after, *more):
    """The file is cut while the receiver stands still, with much of it not sent: one clear error."""
    os.makedirs('out', exist_ok=True)
    with open('big', 'wb') as file:
        file.truncate(512 * MIB)
    listener = Listener()
    sender = Command('send', '--json', '--file-way', way, *more, 'big', listener.url,
                     env={'ZCSOCK_KEY': KEY})
    peer = listener.receiver_peer()
    peer.take(24 + 3)
    peer.say(ACCEPT)
    peer.take(5 * MIB)
    wait_for(lambda: stands(sender), 'the sender to stand still')
    os.truncate('big', size_after)
    taken = 5 * MIB
    try:
        while data := peer.sock.recv(1 << 20):
            taken += len(data)
    except ConnectionResetError:
        pass
    check(taken < 512 * MIB, taken)
    sender.end(1, 'big: the file shrank while it was sent')
    check(sender.err.count('\n') == 1, sender.err)
    check(sender.json['file']['way'] == way and not sender.json['ok'], sender.out)


def stands(sender):
    """It waits for the receiver: its processor time stands still."""
    def used():
        return read(f'/proc/{sender.pid}/stat').rsplit(b')', 1)[1].split()[11:13]
    before = used()
    time.sleep(0.2)
    return used() == before


@test
def a_file_that_shrinks(directory):
    for way in ('read', 'sendfile', 'map'):
        shrinking(way, 0)
        shrinking(way, 100 * MIB + 1)
    shrinking('map', 0, '--copy')
    shrinking('map', 0, '--zerocopy')


@test
def ways_that_do_not_exist(directory):
    for way in ('read', 'map', 'sendfile', 'Direct', ''):
        Command('send', '--file-way', 'direct', 'f', 'zcsock://127.0.0.1:1/' + KEY).end(
            2, '--file-way takes auto, read, sendfile or map')
        Command('recv', '--file-way', way).end(2, '--file-way takes auto, write or direct')
    receiver = recv_with_key('--json', '--timeout', '5')
    sender_peer(receiver).reset()
    receiver.end(1)
    check(receiver.json['file'] is None, receiver.out)


FIGURES = {'send', 'recv', 'zerocopy', 'sent', 'received', 'send_cpu_s_per_gib', 'recv_cpu_s_per_gib',
           'cpu_s_per_gib', 'send_ratio', 'recv_ratio', 'ratio', 'ratio_spread_pct', 'seconds', 'direct_pct'}


@test
def measured_by_the_bench(directory):
    """Every pair of ways has figures, the plain one is 1, and nothing is left behind."""
    place = {'TMPDIR': directory}
    run = Command('bench', '--files', '--mib', '3', '--samples', '3', '--json', 'json', env=place)
    run.end(0)
    check(os.listdir(directory) == ['json'], os.listdir(directory))
    found = json.loads(read('json'))
    check(found['schema'] == 1 and found['bytes'] == 3 * MIB and found['samples'] == 3, found)
    rows = found['rows']
    pairs = [(row['send'], row['recv'], row['zerocopy']) for row in rows]
    check(pairs[0] == ('read', 'write', False) and pairs[-1] == ('auto', 'auto', False), pairs)
    check(len(set(pairs)) == len(pairs) == 9, pairs)
    for row in rows:
        check(set(row) == FIGURES, row)
        check(row['sent'] == row['send'] or row['send'] == 'auto' and row['sent'] == 'sendfile', row)
        check(row['send_cpu_s_per_gib'] > 0 and row['recv_cpu_s_per_gib'] > 0, row)
        check(row['ratio'] > 0 and 0 <= row['direct_pct'] <= 100, row)
        check(row['received'] != 'write' or row['direct_pct'] == 0, row)
    check(rows[0]['ratio'] == rows[0]['send_ratio'] == 1 and rows[0]['ratio_spread_pct'] == 0, rows[0])
    check(run.out.count('+-') == 9, run.out)


@test
def the_bench_that_is_stopped_or_misused(directory):
    place = {'TMPDIR': directory}
    run = Command('bench', '--files', '--mib', '64', '--samples', '1000', env=place)
    wait_for(lambda: [name for name in os.listdir('.') if os.path.exists(name + '/out/file')],
             'a first transfer')
    os.kill(run.pid, signal.SIGTERM)
    run.end(1, 'stopped')
    check(os.listdir(directory) == [], os.listdir(directory))
    for args, text in ((['--mib', '0'], '--mib takes a number'), (['--samples', '2'], '--samples takes'),
                       (['x'], 'one argument too many'), (['--hot'], 'usage: zcsock bench')):
        Command('bench', '--files', *args).end(2, text)
    Command('bench', '--files', env={'TMPDIR': '/nowhere'}).end(1, 'No such file')


main()
