#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files that cannot be sent, or that change while they are; disks that are full."""
import os
import signal
import subprocess

from kit import (COMMAND, Command, KEY, Listener, Recv, Skip, check, environment, listing, main, part_in,
                 read, send, test, wait_for, write)

NOWHERE = f'zcsock://127.0.0.1:1/{KEY}'  # never called: what is wrong here is seen before
BIG = 1 << 30


def refused(says, *args, **more):
    sender = send(*args, NOWHERE, code=1, says=says, **more)
    check(sender.err.count('\n') == 1, sender.err)


@test
def not_to_be_sent(directory):
    os.mkdir('directory')
    os.mkfifo('pipe')
    write('file', b'x')
    write('new\nline', b'x')
    os.mkdir('other')
    write('other/file', b'y')
    refused('absent: No such file', 'absent')
    refused('directory: is a directory', 'directory')
    refused('not a plain file name', 'directory/')
    refused('pipe: is not a regular file', 'pipe')
    refused('/dev/null: is not a regular file', '/dev/null')
    refused('new\\x0aline: the name is not a plain file name', 'new\nline')
    refused('the same name', 'file', 'other/file')
    refused('the same name', '-', '-')
    refused('absent: No such file', 'file', 'absent')


@test
def not_to_be_read(directory):
    write('file', b'x')
    os.chmod('file', 0)
    os.chmod(directory, 0o755)
    if os.getuid() == 0:
        refused('file: Permission denied', 'file', user=65534)
    else:
        refused('file: Permission denied', 'file')


@test
def standard_input_that_cannot_be_read(directory):
    os.mkdir('out')
    receiver = Recv('-o', 'out')
    descriptor = os.open('out', os.O_RDONLY)
    send('-', receiver.url, stdin=descriptor, code=1, says='stdin: Is a directory')
    os.close(descriptor)
    receiver.end(1, 'lost the sender')
    check(listing('out') == [])


@test
def standard_input_that_is_closed(directory):
    """Its number must not become that of the connection."""
    os.mkdir('out')
    receiver = Recv('-o', 'out')
    sender = send('-', receiver.url, code=1, says='stdin: Bad file descriptor',
                  wrap=['sh', '-c', 'exec "$@" <&-', 'sh'])
    check(sender.err.count('\n') == 1, sender.err)
    receiver.end(1, 'lost the sender')
    check(listing('out') == [])


def change(what):
    """what() happens while the receiver stands still with a part of the file."""
    os.mkdir('out')
    with open('file', 'wb') as file:
        file.truncate(BIG)
    receiver = Recv('-o', 'out')
    sender = Command('send', 'file', receiver.url)
    part = 'out/' + part_in('out')
    os.kill(receiver.pid, signal.SIGSTOP)
    check(os.path.exists(part), 'it was faster than this test')

    def has_read():
        return int(read(f'/proc/{sender.pid}/io').split()[1])

    def stands():
        """Nothing of the file is read any more, only what timers say: the buffers are full."""
        before = has_read()
        try:
            sender.process.wait(0.1)
        except subprocess.TimeoutExpired:
            pass
        return has_read() - before < 4096

    wait_for(stands, 'the sender to stand still')
    what()
    os.kill(receiver.pid, signal.SIGCONT)
    return sender, receiver


@test
def a_file_that_shrinks(directory):
    sender, receiver = change(lambda: os.truncate('file', BIG // 2))
    sender.end(1, 'file: the file shrank while it was sent')
    receiver.end(1, 'lost the sender in the middle of file')
    check(listing('out') == [])


@test
def a_file_that_grows(directory):
    sender, receiver = change(lambda: os.truncate('file', BIG + 1))
    sender.end(1, 'file: the file grew while it was sent')
    receiver.end(1, 'the sender gave up file: the file grew while it was sent')
    check(listing('out') == [])


@test
def a_file_that_changes(directory):
    def write_in_place():
        with open('file', 'r+b') as file:
            file.write(b'other')
    sender, receiver = change(write_in_place)
    sender.end(1, 'file: the file changed while it was sent')
    receiver.end(1, 'the sender gave up file: the file changed while it was sent')
    check(listing('out') == [])


@test
def a_file_that_is_renamed_and_replaced(directory):
    """What was opened is what is sent."""
    def replace():
        os.rename('file', 'old')
        write('file', b'new')
    sender, receiver = change(replace)
    sender.end(0)
    receiver.end(0)
    check(os.path.getsize('out/file') == BIG)


@test
def a_file_without_a_size(directory):
    """/proc shows 0 bytes and gives more."""
    os.mkdir('out')
    receiver = Recv('-o', 'out')
    send('/proc/self/status', receiver.url, code=1, says='status: the file grew')
    receiver.end(1, 'the sender gave up')
    check(listing('out') == [])


@test
def the_second_file_vanishes(directory):
    os.mkdir('out')
    write('a', b'a')
    write('b', b'b')
    listener = Listener()
    sender = Command('send', 'a', 'b', listener.url)
    peer = listener.receiver_peer()
    peer.take(24 + 1)
    os.unlink('b')
    peer.say(7)
    peer.take(1 + 24 + 16)
    peer.say(9)
    frame = peer.hear()
    check(frame[0] == 5, frame)
    sender.end(1, 'b: No such file')


# ---- disks -----------------------------------------------------------------------------------------------

def small_disk(*send_args, stdin=subprocess.DEVNULL, earlier=''):
    """recv into 8 MiB of tmpfs, in a mount namespace; what is in it afterwards."""
    user = [] if os.getuid() == 0 else ['-r']
    script = ('mount -t tmpfs -o size=8m none out || exit 77; printf %s "$1" >out/earlier; shift; '
              '"$@"; code=$?; ls -A out >left; cat out/earlier >>left; exit $code')
    probe = subprocess.run(['unshare', *user, '-m', 'mount', '-t', 'tmpfs', 'none', '/tmp'],
                           stderr=subprocess.DEVNULL, check=False)
    if probe.returncode:
        raise Skip('mount namespaces are not permitted')
    os.makedirs('out', exist_ok=True)
    receiver = Recv('-o', 'out', '--force',
                    wrap=['unshare', *user, '-m', 'sh', '-c', script, 'sh', earlier])
    sender = Command('send', *send_args, receiver.url, stdin=stdin)
    return sender, receiver


@test
def a_disk_that_is_known_to_be_too_small(directory):
    with open('file', 'wb') as file:
        file.truncate(64 << 20)
    sender, receiver = small_disk('file', earlier='precious')
    receiver.end(1, 'file: No space left on device')
    sender.end(1, 'file: the receiver says: no space is left for it')
    check(read('left') == b'earlier\nprecious', read('left'))


@test
def a_disk_that_fills(directory):
    """The length of standard input is not known before; the name is one that exists."""
    with open('/dev/zero', 'rb') as zero:
        sender, receiver = small_disk('--name', 'earlier', '-', stdin=zero, earlier='precious')
        receiver.end(1, 'earlier: No space left on device')
        sender.end(1, 'earlier: the receiver says: no space is left for it')
    check(receiver.err.count('\n') == 1 and sender.err.count('\n') == 1)
    check(read('left') == b'earlier\nprecious', read('left'))


@test
def a_directory_without_permission(directory):
    if os.getuid() != 0:
        raise Skip('only root can become somebody else')
    os.mkdir('out')
    os.chmod(directory, 0o755)
    write('file', b'x')
    receiver = Recv('-o', 'out', user=65534)
    send('file', receiver.url, code=1, says='the receiver says: permission was denied')
    receiver.end(1, 'file: Permission denied')
    check(listing('out') == [])


@test
def a_file_size_limit(directory):
    os.mkdir('out')
    with open('file', 'wb') as file:
        file.truncate(64 << 20)
    script = 'trap "" XFSZ; ulimit -f 1000; exec "$@"'
    receiver = Recv('-o', 'out', wrap=['sh', '-c', script, 'sh'])
    sender = Command('send', 'file', receiver.url)
    receiver.end(1, 'file: File too large')
    sender.end(1, 'no space is left')
    check(listing('out') == [])
    check(COMMAND and environment(None))


main()
