#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Peers that know the key and misbehave, fall silent, or die half way."""
import os
import signal
import socket
import time

from kit import (ACCEPT, BUSY, CHUNK, Command, DONE, END, FILE, GIVEUP, HASH_OF_NOTHING, KEEP, KEY,
                 Listener, NO_SPACE, OK, Peer, Recv, STOPPED, TOO_SLOW, UNKNOWN, VERDICT, check, head,
                 listing, main, memory_kib, part_in, recv_with_key, send, sender_peer, test, wait_for,
                 write)

BIG = 1 << 30


def sparse(name, size):
    with open(name, 'wb') as file:
        file.truncate(size)
    return name


def waiting(*args):
    os.makedirs('out', exist_ok=True)
    return recv_with_key('-o', 'out', *args)


def one_line(command):
    check(command.err.count('\n') == 1 and len(command.err) < 400, command.err)


def nothing_left(receiver):
    one_line(receiver)
    check(listing('out') == [], listing('out'))


# ---- nobody there -----------------------------------------------------------------------------------

@test
def unreachable(directory):
    write('file', b'x')
    listener = socket.create_server(('127.0.0.1', 0))
    port = listener.getsockname()[1]
    listener.close()
    one_line(send('file', f'zcsock://127.0.0.1:{port}/{KEY}', code=1, says='Connection refused'))
    one_line(send('file', f'zcsock://does-not-exist.invalid:1/{KEY}', code=1,
                  says='cannot look up does-not-exist.invalid: '))
    one_line(send('file', f'zcsock://[::1]:{port}/{KEY}', code=1, says='cannot connect'))


@test
def an_address_in_use(directory):
    first = Recv()
    Command('recv', '--listen', f'127.0.0.1:{first.address[1]}').end(1, 'Address already in use')
    Command('recv', '--listen', '127.0.0.1').end(1, 'takes ADDR:PORT')
    Command('recv', '--listen', '192.0.2.77:0').end(1, 'cannot listen')


# ---- what a sender may do to a receiver ----------------------------------------------------------------

@test
def senders_that_do_not_keep_to_the_protocol(directory):
    for data in (os.urandom(1000), bytes(24), head(FILE, magic=b'zcs2', length=1) + b'x',
                 head(ACCEPT), head(VERDICT), head(CHUNK, length=5) + b'12345', head(END, length=16),
                 head(0), head(10), head(65535), head(FILE, code=1, length=1) + b'x',
                 head(KEEP, length=1), head(DONE, value=1), head(DONE, length=1),
                 head(FILE, length=1, value=2**63) + b'x', head(FILE, length=2**63, value=1) + b'x',
                 head(FILE, length=1, value=2**64 - 2) + b'x'):
        receiver = waiting()
        peer = sender_peer(receiver)
        peer.sock.sendall(data)
        peer.hung_up()
        receiver.end(1, 'does not keep to the protocol')
        nothing_left(receiver)


@test
def chunks_that_claim_too_much(directory):
    for length in (0, 2**20 + 1, 2**32, 2**63, 2**64 - 1):
        receiver = waiting()
        peer = sender_peer(receiver)
        check(peer.offer(b'file', UNKNOWN) == (ACCEPT, OK))
        peer.say(CHUNK, body=b'x' * 1000)
        peer.sock.sendall(head(CHUNK, length=length) + b'x' * 1000)
        peer.hung_up()
        receiver.end(1, 'does not keep to the protocol')
        nothing_left(receiver)
        check(memory_kib('self') > 0)


@test
def files_larger_than_the_disk(directory):
    for size in (2**63 - 1, 2**60):
        receiver = waiting()
        peer = sender_peer(receiver)
        check(peer.offer(b'file', size) == (VERDICT, NO_SPACE))
        receiver.end(1, 'No space left on device')
        nothing_left(receiver)


@test
def senders_that_give_up(directory):
    for size in (0, UNKNOWN):
        receiver = waiting()
        peer = sender_peer(receiver)
        check(peer.offer(b'file', size) == (ACCEPT, OK))
        peer.say(GIVEUP, code=STOPPED)
        receiver.end(1, 'the sender gave up')
        nothing_left(receiver)


@test
def senders_that_leave(directory):
    for stage in range(5):
        receiver = waiting()
        peer = sender_peer(receiver)
        if stage == 1:
            peer.sock.sendall(head(FILE, length=4)[:10])
        if stage == 2:
            peer.sock.sendall(head(FILE, length=4) + b'fi')
        if stage > 2:
            check(peer.offer(b'file', 1000000) == (ACCEPT, OK))
            part_in('out')
        if stage > 3:
            peer.sock.sendall(bytes(500000))
        if stage % 2:
            peer.reset()
        else:
            peer.sock.close()
        receiver.end(1, 'lost the sender')
        nothing_left(receiver)


@test
def senders_that_fall_silent(directory):
    for stage in range(3):
        receiver = waiting('--timeout', '1')
        peer = sender_peer(receiver)
        if stage:
            check(peer.offer(b'file', 1000000) == (ACCEPT, OK))
        if stage > 1:
            peer.sock.sendall(bytes(500000))
        start = time.monotonic()
        check(peer.hear()[:2] == (VERDICT, TOO_SLOW))
        receiver.end(1, 'nothing moved for too long')
        check(0.5 < time.monotonic() - start < 4, 'not the time limit')
        nothing_left(receiver)


@test
def a_sender_that_keeps_alive_may_think(directory):
    receiver = waiting('--timeout', '1')
    peer = sender_peer(receiver)
    check(peer.offer(b'file', UNKNOWN) == (ACCEPT, OK))
    for _ in range(8):
        peer.say(KEEP)
        time.sleep(0.25)
    peer.say(END, body=HASH_OF_NOTHING)
    check(peer.hear()[:2] == (VERDICT, OK))
    peer.say(DONE, value=1)
    receiver.end(0)


@test
def a_sender_that_is_slow_but_steady(directory):
    """More is asked of the kernel at a time than arrives in the time limit."""
    receiver = waiting('--timeout', '1')
    peer = sender_peer(receiver)
    piece = bytes(10000)
    check(peer.offer(b'file', 14 * len(piece)) == (ACCEPT, OK))
    for _ in range(14):
        time.sleep(0.3)
        peer.sock.sendall(piece)
    check(receiver.process.poll() is None, 'it gave up')
    check(wait_for(lambda: os.path.getsize('out/' + part_in('out')) == 140000, 'all of it'))
    peer.say(GIVEUP, code=STOPPED)
    receiver.end(1, 'the sender gave up file')
    nothing_left(receiver)


@test
def bytes_behind_the_end_harm_nobody(directory):
    receiver = waiting()
    peer = sender_peer(receiver)
    check(peer.offer(b'file') == (ACCEPT, OK))
    peer.say(END, body=HASH_OF_NOTHING)
    check(peer.hear()[:2] == (VERDICT, OK))
    peer.sock.sendall(head(DONE, value=1) + os.urandom(100000))
    receiver.end(0)
    check(listing('out') == ['file'])


# ---- what a receiver may do to a sender ------------------------------------------------------------------

@test
def receivers_that_are_garbage(directory):
    sparse('file', 1 << 20)
    for data in (b'HTTP/1.1 400 Bad Request\r\n\r\n', bytes(40), os.urandom(500)):
        listener = Listener()
        sender = Command('send', 'file', listener.url)
        peer = listener.accept()
        peer.sock.sendall(data)
        sender.end(1, 'does not speak this protocol')
        one_line(sender)


@test
def receivers_that_do_not_keep_to_the_protocol(directory):
    sparse('file', 64 << 20)
    for data in (os.urandom(24), head(FILE, length=1) + b'x', head(VERDICT, code=99),
                 head(VERDICT), head(ACCEPT, length=2**63), head(ACCEPT, value=2**63),
                 head(ACCEPT) + os.urandom(24), head(ACCEPT) * 2, head(ACCEPT) + head(VERDICT)):
        listener = Listener()
        sender = Command('send', 'file', listener.url)
        peer = listener.receiver_peer()
        peer.take(24 + 4)
        peer.sock.sendall(data)
        sender.end(1)
        one_line(sender)
        peer.sock.close()


@test
def receivers_that_are_content_too_early(directory):
    """No verdict but a refusal can be known before the checksum."""
    sparse('file', 64 << 20)
    listener = Listener()
    sender = Command('send', 'file', listener.url)
    peer = listener.receiver_peer()
    peer.take(24 + 4)
    peer.say(ACCEPT)
    peer.take(1000)
    peer.say(VERDICT)
    sender.end(1, 'file: lost the receiver: it does not keep to the protocol')
    one_line(sender)


@test
def receivers_that_refuse(directory):
    """At once, in the middle of a body that they do not read, and at its end."""
    sparse('file', 64 << 20)
    for stage in range(3):
        listener = Listener()
        sender = Command('send', 'file', listener.url)
        peer = listener.receiver_peer()
        peer.take(24 + 4)
        if stage:
            peer.say(ACCEPT)
        if stage == 1:
            peer.take(1000)
        if stage == 2:
            peer.take((64 << 20) + 24 + 16)
            for _ in range(3):
                peer.say(BUSY)
        peer.say(VERDICT, code=NO_SPACE)
        sender.end(1, 'file: the receiver says: no space is left for it')
        one_line(sender)


@test
def receivers_that_leave(directory):
    sparse('file', 64 << 20)
    for stage in range(5):
        listener = Listener()
        sender = Command('send', 'file', listener.url)
        peer = listener.receiver_peer()
        if stage > 0:
            peer.take(24 + 4)
            peer.say(ACCEPT)
        if stage > 1:
            peer.take(1000000)
        if stage > 3:
            peer.take((64 << 20) - 1000000 + 24 + 16)
        if stage % 2:
            peer.reset()
        else:
            peer.sock.close()
        sender.end(1, 'lost the receiver')
        one_line(sender)


@test
def receivers_that_fall_silent(directory):
    sparse('file', 64 << 20)
    for stage in range(5):
        listener = Listener()
        sender = Command('send', '--timeout', '1', 'file', listener.url)
        peer = listener.accept()
        if stage == 0:
            start = time.monotonic()
            sender.end(1, 'it was silent for too long')
        else:
            check(peer.prove_as_receiver())
            peer.take(24 + 4)
            if stage > 1:
                peer.say(ACCEPT)
            if stage > 2:
                peer.take(1000000)
            if stage > 3:
                peer.take((64 << 20) - 1000000 + 24 + 16)
            start = time.monotonic()
            sender.end(1, 'nothing moved for too long')
        check(0.5 < time.monotonic() - start < 5, f'stage {stage}: not the time limit')
        one_line(sender)


@test
def a_receiver_that_is_slow_but_steady(directory):
    """What the sender's kernel holds takes longer than the time limit."""
    size = 3 << 20
    sparse('file', size)
    listener = Listener()
    listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sender = Command('send', '--timeout', '1', 'file', listener.url)
    peer = listener.receiver_peer()
    peer.take(24 + 4)
    peer.say(ACCEPT)
    for _ in range(12):
        peer.take(size // 12)
        time.sleep(0.3)
    peer.take(24 + 16)
    peer.say(VERDICT)
    peer.take(24)
    sender.end(0)


@test
def a_receiver_that_is_busy_may_take_long(directory):
    sparse('file', 1 << 20)
    listener = Listener()
    sender = Command('send', '--timeout', '1', 'file', listener.url)
    peer = listener.receiver_peer()
    peer.take(24 + 4)
    peer.say(ACCEPT)
    peer.take((1 << 20) + 24 + 16)
    for _ in range(8):
        peer.say(BUSY)
        time.sleep(0.25)
    peer.say(VERDICT)
    peer.take(24)
    sender.end(0)


# ---- the real two, one of them killed ----------------------------------------------------------------------

def half_way():
    """Both run, the receiver is stopped with a part of the file on its disk."""
    sparse('file', BIG)
    os.makedirs('out', exist_ok=True)
    receiver = Recv('-o', 'out')
    sender = Command('send', 'file', receiver.url)
    part = 'out/' + part_in('out')
    wait_for(lambda: not os.path.exists(part) or os.path.getsize(part) > 0, 'bytes')
    os.kill(receiver.pid, signal.SIGSTOP)
    check(os.path.exists(part), 'it was faster than this test')
    return sender, receiver


@test
def the_sender_is_killed(directory):
    sender, receiver = half_way()
    sender.process.kill()
    sender.process.wait()
    os.kill(receiver.pid, signal.SIGCONT)
    receiver.end(1, 'lost the sender in the middle of file')
    nothing_left(receiver)


@test
def the_receiver_is_killed(directory):
    sender, receiver = half_way()
    receiver.process.kill()
    sender.end(1, 'lost the receiver')
    one_line(sender)
    check(all(name.startswith('.zcsock-') for name in listing('out')), listing('out'))


@test
def the_sender_is_interrupted(directory):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        sender, receiver = half_way()
        sender.process.send_signal(number)
        sender.end(1, 'file: stopped')
        os.kill(receiver.pid, signal.SIGCONT)
        receiver.end(1, 'lost the sender in the middle of file')
        nothing_left(receiver)


@test
def the_receiver_is_interrupted(directory):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        sender, receiver = half_way()
        receiver.process.send_signal(number)
        os.kill(receiver.pid, signal.SIGCONT)
        receiver.end(1, 'stopped in the middle of file')
        nothing_left(receiver)
        sender.end(1, 'file: the receiver says: it was stopped')


@test
def a_waiting_receiver_is_interrupted(directory):
    receiver = waiting()
    receiver.process.send_signal(signal.SIGINT)
    receiver.end(1, 'stopped')
    nothing_left(receiver)


@test
def the_receiver_stands_still(directory):
    sparse('file', BIG)
    os.mkdir('out')
    receiver = Recv('-o', 'out')
    sender = Command('send', '--timeout', '1', 'file', receiver.url)
    part_in('out')
    os.kill(receiver.pid, signal.SIGSTOP)
    sender.end(1, 'nothing moved for too long')
    os.kill(receiver.pid, signal.SIGCONT)
    receiver.end(1, 'lost the sender in the middle of file')
    nothing_left(receiver)


@test
def json_of_a_failure(directory):
    write('file', b'x')
    sender = send('--json', 'file', f'zcsock://127.0.0.1:1/{KEY}', code=1)
    check(sender.json['ok'] is False and 'cannot connect' in sender.json['error'], sender.out)
    receiver = Command('recv', '--json', '-o', 'absent/file').end(1, 'absent/: No such file')
    check(receiver.json['ok'] is False and 'No such file' in receiver.json['error'], receiver.out)
    receiver = waiting('--json')
    receiver.process.send_signal(signal.SIGTERM)
    receiver.end(1, 'stopped')
    check(receiver.json['ok'] is False and receiver.json['error'] == 'stopped', receiver.out)
    receiver = waiting('--json')
    peer = sender_peer(receiver)
    peer.sock.close()
    receiver.end(1)
    check(receiver.json['ok'] is False and 'lost the sender' in receiver.json['error'])
    check(receiver.json['files'] == [] and receiver.json['checksum'] is None)


main()
