#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The ways between a file and the connection: the bytes are right by each, and --json says which."""
import os
import shutil
import tempfile

from kit import Command, Recv, check, main, read, recv_with_key, send, sender_peer, test, write

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
def ways_that_do_not_exist(directory):
    for way in ('read', 'map', 'sendfile', 'Direct', ''):
        Command('recv', '--file-way', way).end(2, '--file-way takes auto, write or direct')
    receiver = recv_with_key('--json', '--timeout', '5')
    sender_peer(receiver).reset()
    receiver.end(1)
    check(receiver.json['file'] is None, receiver.out)


main()
