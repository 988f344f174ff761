#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Names that a peer who knows the key may try, and files that were there before."""
import os
import stat

from kit import (ACCEPT, BAD_NAME, CHECKSUM, DONE, END, EXISTS, HASH_OF_NOTHING, NOT_A_FILE, OK,
                 ONE_ONLY, Recv, VERDICT, check, listing, main, part_in, read, recv_with_key, send,
                 sender_peer, test, write)

BAD = [b'../x', b'/abs', b'.', b'..', b'a/b', b'a/', b'./a', b'/', b'a\0b', b'\0', b'a\nb', b'\x1b[2J',
       b'\x7f', b'..\0', b'x/../../y', b'a' * 250 + b'/../b']


def nothing_outside(directory):
    check(listing(directory) == ['out'], listing(directory))
    check(listing('out') == [], listing('out'))


@test
def bad_names(directory):
    os.mkdir('out')
    for name in BAD:
        receiver = recv_with_key('-o', 'out')
        peer = sender_peer(receiver)
        answer = peer.offer(name)
        check(answer == (VERDICT, BAD_NAME), f'{name!r}: {answer}')
        receiver.end(1, 'not a plain file name')
        check('\x1b' not in receiver.err and receiver.err.count('\n') == 1, repr(receiver.err))
        nothing_outside(directory)


@test
def names_of_impossible_length(directory):
    os.mkdir('out')
    for length in (0, 256, 2**16, 2**32, 2**63, 2**64 - 1):
        receiver = recv_with_key('-o', 'out')
        peer = sender_peer(receiver)
        peer.sock.sendall(b'zcs1' + (1).to_bytes(4, 'little') + length.to_bytes(8, 'little') +
                          bytes(8) + b'x' * 300)
        peer.hung_up()
        receiver.end(1, 'does not keep to the protocol')
        nothing_outside(directory)


@test
def a_good_name_works(directory):
    """The control of these tests: the same peer, a plain name."""
    os.mkdir('out')
    receiver = recv_with_key('-o', 'out')
    peer = sender_peer(receiver)
    check(peer.offer(b'good') == (ACCEPT, OK))
    peer.say(END, body=HASH_OF_NOTHING)
    check(peer.hear()[:2] == (VERDICT, OK))
    peer.say(DONE, value=1)
    receiver.end(0)
    check(listing('out') == ['good'])


def refused(name, code, args=()):
    receiver = recv_with_key('-o', 'out', *args)
    peer = sender_peer(receiver)
    answer = peer.offer(name)
    check(answer == (VERDICT, code), answer)
    return receiver.end(1)


@test
def links_are_not_followed(directory):
    os.makedirs('out')
    write('outside', b'precious')
    os.symlink('../outside', 'out/link')
    os.symlink('../new', 'out/dangling')
    os.symlink('/', 'out/dir')
    for name in (b'link', b'dangling', b'dir'):
        refused(name, EXISTS)
        refused(name, NOT_A_FILE, ['--force'])
    check(read('outside') == b'precious')
    check(listing('.') == ['out', 'outside'])
    check(listing('out') == ['dangling', 'dir', 'link'])


@test
def only_regular_files_are_replaced(directory):
    os.makedirs('out/directory')
    os.mkfifo('out/pipe')
    for name in (b'directory', b'pipe'):
        refused(name, EXISTS)
        refused(name, NOT_A_FILE, ['--force'])
    check(stat.S_ISFIFO(os.lstat('out/pipe').st_mode))


@test
def a_directory_that_is_a_link_is_the_users_choice(directory):
    os.mkdir('real')
    os.symlink('real', 'out')
    write('file', b'hello')
    receiver = Recv('-o', 'out')
    send('file', receiver.url)
    receiver.end(0)
    check(read('real/file') == b'hello')


@test
def existing_is_refused(directory):
    os.mkdir('out')
    write('file', b'new')
    write('out/file', b'old')
    receiver = Recv('-o', 'out')
    send('file', receiver.url, code=1, says='the receiver says: a file of that name exists')
    receiver.end(1, 'file: a file of that name exists')
    check(listing('out') == ['file'] and read('out/file') == b'old')


@test
def existing_with_force(directory):
    os.mkdir('out')
    write('file', b'new')
    write('out/file', b'old')
    os.chmod('out/file', 0o600)
    receiver = Recv('-o', 'out', '--force')
    send('file', receiver.url)
    receiver.end(0)
    check(read('out/file') == b'new')
    check(stat.S_IMODE(os.stat('out/file').st_mode) == 0o600, 'permissions changed')


@test
def new_files_follow_the_umask(directory):
    os.mkdir('out')
    write('file', b'new')
    receiver = Recv('-o', 'out', umask=0o027)
    send('file', receiver.url)
    receiver.end(0)
    check(stat.S_IMODE(os.stat('out/file').st_mode) == 0o640)


@test
def a_file_that_appears_meanwhile_is_kept(directory):
    os.mkdir('out')
    receiver = recv_with_key('-o', 'out')
    peer = sender_peer(receiver)
    check(peer.offer(b'file') == (ACCEPT, OK))
    part_in('out')
    write('out/file', b'mine')
    peer.say(END, body=HASH_OF_NOTHING)
    check(peer.hear()[:2] == (VERDICT, EXISTS))
    receiver.end(1, 'file: a file of that name exists')
    check(listing('out') == ['file'] and read('out/file') == b'mine')


@test
def a_link_that_appears_meanwhile_is_kept(directory):
    os.mkdir('out')
    write('outside', b'precious')
    receiver = recv_with_key('-o', 'out', '--force')
    peer = sender_peer(receiver)
    check(peer.offer(b'file') == (ACCEPT, OK))
    os.symlink('../outside', 'out/file')
    peer.say(END, body=HASH_OF_NOTHING)
    check(peer.hear()[:2] == (VERDICT, NOT_A_FILE))
    receiver.end(1)
    check(listing('out') == ['file'] and read('outside') == b'precious')


@test
def an_earlier_file_survives_each_failure(directory):
    os.mkdir('out')
    write('out/file', b'old')

    def half_a_body(peer):
        peer.sock.sendall(b'x' * 50000)

    def hang_up(peer):
        half_a_body(peer)
        peer.sock.close()

    def reset(peer):
        half_a_body(peer)
        peer.reset()

    def wrong_checksum(peer):
        peer.sock.sendall(bytes(100000))
        peer.say(END, value=100000, body=bytes(16))
        check(peer.hear()[:2] == (VERDICT, CHECKSUM))

    def wrong_length(peer):
        peer.sock.sendall(bytes(100000))
        peer.say(END, value=0, body=HASH_OF_NOTHING)
        check(peer.hear()[:2] == (VERDICT, CHECKSUM))

    def no_frame(peer):
        peer.sock.sendall(bytes(200000))
        peer.hung_up()

    for failure in (hang_up, reset, wrong_checksum, wrong_length, no_frame):
        receiver = recv_with_key('-o', 'out', '--force')
        peer = sender_peer(receiver)
        check(peer.offer(b'file', 100000) == (ACCEPT, OK))
        failure(peer)
        receiver.end(1)
        check(receiver.err.count('\n') == 1, receiver.err)
        check(listing('out') == ['file'] and read('out/file') == b'old', failure.__name__)


@test
def one_name_takes_one_file(directory):
    os.mkdir('out')
    write('a', b'a')
    write('b', b'b')
    receiver = Recv('-o', 'out/only', '--force')
    send('a', 'b', receiver.url, code=1, says='b: the receiver says: one file only')
    receiver.end(1, 'the sender has another')
    check(listing('out') == ['only'] and read('out/only') == b'a')
    check(ONE_ONLY == 4)


@test
def what_is_no_place(directory):
    from kit import Command
    write('file', b'')
    Command('recv', '-o', 'nowhere/').end(1, 'there is no such directory')
    Command('recv', '-o', 'nowhere/file').end(1, 'nowhere/: No such file')
    Command('recv', '-o', 'file/x').end(1, 'Not a directory')


main()
