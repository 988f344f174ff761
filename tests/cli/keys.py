#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The key: who knows it, who does not, and who can see it."""
import os
import socket
import time

from kit import (Command, KEY, Listener, Peer, Recv, check, listing, main, memory_kib, proof, read,
                 recv_with_key, send, sender_peer, test, wait_for, write)

OTHER = 'f' * 32


def still_works(receiver):
    """After all that, the right sender is heard."""
    write('right', b'right')
    sender = Command('send', 'right', receiver.url, env={'ZCSOCK_KEY': KEY})
    sender.end(0)
    receiver.end(0, '')
    check(listing('out') == ['right'] and read('out/right') == b'right')


def waiting(directory, *args):
    os.mkdir('out')
    return recv_with_key('-o', 'out', *args)


@test
def a_wrong_key_is_turned_away_and_the_wait_goes_on(directory):
    receiver = waiting(directory)
    write('file', b'x')
    for _ in range(3):
        send('file', receiver.url, env={'ZCSOCK_KEY': OTHER}, code=1,
             says='it does not accept this key')
    check(listing('out') == [])
    still_works(receiver)
    check(receiver.err.count('was turned away: it does not know the key') == 3, receiver.err)
    check(receiver.err.count('\n') == 3, receiver.err)


@test
def a_receiver_that_does_not_know_the_key_learns_nothing(directory):
    """It answers the sender's proof with noise, with the sender's own proof, or with silence."""
    write('secret-name', b'secret')
    for answer in ('noise', 'echo'):
        listener = Listener()
        sender = Command('send', 'secret-name', listener.url)
        peer = listener.accept()
        theirs = peer.take(40)[8:]
        nonce = theirs if answer == 'echo' else os.urandom(32)
        peer.sock.sendall(b'zcsock1\n' + nonce)
        said = peer.take(32)
        peer.sock.sendall(said if answer == 'echo' else os.urandom(32))
        check(peer.sock.recv(1) == b'', 'the sender went on')
        sender.end(1, 'it does not know the key')


@test
def an_old_proof_does_not_help(directory):
    """Replay: the same bytes that were right in one session are wrong in the next."""
    receiver = waiting(directory)
    nonce = os.urandom(32)
    peer = Peer.connect(receiver)
    peer.sock.sendall(b'zcsock1\n' + nonce)
    theirs = peer.take(40)[8:]
    old = proof(b'zcsock1 sender  ', nonce, theirs)
    peer.reset()
    peer = Peer.connect(receiver)
    peer.sock.sendall(b'zcsock1\n' + nonce)
    check(peer.take(40)[8:] != theirs, 'the same challenge twice')
    peer.sock.sendall(old)
    check(peer.take(32) == bytes(32), 'an old proof was accepted')
    still_works(receiver)


@test
def keys_from_file_and_environment(directory):
    write('key', KEY.upper().encode() + b'\n')
    write('file', b'x')
    for number, (there, here) in enumerate((('file', 'file'), ('file', 'env'), ('env', 'file'),
                                            ('env', 'url'))):
        env = {'ZCSOCK_KEY': KEY}
        receiver = Recv('-o', f'out{number}', *(['--key-file', 'key'] if there == 'file' else []),
                        env=env if there == 'env' else None)
        check(KEY not in receiver.url and receiver.url.count('/') == 2, receiver.url)
        url = receiver.url + '/' + KEY if here == 'url' else receiver.url
        send(*(['--key-file', 'key'] if here == 'file' else []), 'file', url,
             env=env if here == 'env' else None)
        receiver.end(0)


@test
def a_random_key_is_another_each_time(directory):
    keys = {Recv().key for _ in range(4)}
    check(len(keys) == 4 and all(len(key) == 32 for key in keys), keys)


@test
def bad_keys(directory):
    write('file', b'x')
    write('short', KEY[:-1].encode())
    write('long', KEY.encode() * 2)
    write('huge', b'0' * 100000)
    write('words', b'correct horse battery staple.....')
    url = 'zcsock://127.0.0.1:1'
    for name in ('short', 'long', 'huge', 'words', '/dev/null'):
        send('--key-file', name, 'file', url, code=1, says='a key is 32 hexadecimal digits')
        Command('recv', '--key-file', name).end(1, 'a key is 32 hexadecimal digits')
    send('--key-file', 'absent', 'file', url, code=1, says='absent: No such file')
    send('file', url, env={'ZCSOCK_KEY': 'x'}, code=1, says='ZCSOCK_KEY')
    Command('recv', env={'ZCSOCK_KEY': ''}).end(1, 'ZCSOCK_KEY')
    send('file', url, code=2, says='the key is missing')
    send('--key-file', 'short', 'file', url + '/' + KEY, code=2, says='names another')


@test
def nobody_reads_the_key_from_the_process_table(directory):
    """A sender that hangs in the handshake of a silent peer is looked at."""
    write('key', KEY.encode())
    write('file', b'x')
    listener = Listener()
    bare = listener.url.rsplit('/', 1)[0]
    for args, env in ((['--key-file', 'key', 'file', bare], None),
                      (['file', bare], {'ZCSOCK_KEY': KEY}), (['file', listener.url], None)):
        sender = Command('send', *args, env=env)
        peer = listener.accept()
        peer.take(40)
        line = read(f'/proc/{sender.pid}/cmdline')
        check(b'send' in line and KEY.encode() not in line, line)
        peer.sock.close()
        sender.end(1)
    receiver = recv_with_key()
    check(KEY.encode() not in read(f'/proc/{receiver.pid}/cmdline'))
    receiver = Recv()
    check(receiver.key.encode() not in read(f'/proc/{receiver.pid}/cmdline'))


# ---- strangers at the door -----------------------------------------------------------------------

@test
def garbage_at_the_door(directory):
    receiver = waiting(directory)
    for data in (b'GET / HTTP/1.1\r\n\r\n', b'\0', b'zcsock2\n' + bytes(32), os.urandom(100000)):
        peer = Peer.connect(receiver)
        try:
            peer.sock.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            pass
        peer.hung_up()
    still_works(receiver)
    check(receiver.err.count('it does not speak this protocol') == 4, receiver.err)


@test
def silent_strangers_delay_nobody(directory):
    """More of them than there are places, some with half a greeting."""
    receiver = waiting(directory)
    peers = [Peer.connect(receiver) for _ in range(100)]
    for number, peer in enumerate(peers[-30:]):
        peer.sock.sendall((b'zcsock1\n' + bytes(32))[:number + 1])
    start = time.monotonic()
    still_works(receiver)
    check(time.monotonic() - start < 4, 'the right sender waited for the silent ones')
    lines = receiver.err.splitlines()
    check(len(lines) == 21 and lines[-1].endswith('no more lines about it'), receiver.err)
    check(all('too many strangers at once' in line for line in lines[:-1]), receiver.err)


@test
def silent_strangers_are_turned_away(directory):
    receiver = waiting(directory, '--timeout', '1')
    peer = Peer.connect(receiver)
    start = time.monotonic()
    peer.hung_up()
    check(0.5 < time.monotonic() - start < 3)
    still_works(receiver)
    check('it was silent for too long' in receiver.err, receiver.err)


@test
def a_stranger_that_trickles_is_turned_away(directory):
    receiver = waiting(directory, '--timeout', '1')
    peer = Peer.connect(receiver)
    start = time.monotonic()
    try:
        for byte in b'zcsock1\n' + bytes(32):
            peer.sock.sendall(bytes([byte]))
            time.sleep(0.1)
    except (ConnectionResetError, BrokenPipeError):
        pass
    check(time.monotonic() - start < 3, 'heard for as long as it liked')
    still_works(receiver)


@test
def strangers_fill_neither_memory_nor_disk(directory):
    receiver = waiting(directory)
    before = memory_kib(receiver.pid)
    block = bytes(1 << 20)
    for start in (b'', b'zcsock1\n' + bytes(32)):
        for _ in range(5):
            peer = Peer.connect(receiver)
            try:
                peer.sock.sendall(start)
                for _ in range(20):
                    peer.sock.sendall(block)
            except (ConnectionResetError, BrokenPipeError):
                pass
            peer.reset()
    check(listing('out') == [])
    grown = memory_kib(receiver.pid) - before
    check(grown < 2048, f'{grown} KiB more')
    still_works(receiver)


@test
def many_that_come_and_go(directory):
    receiver = waiting(directory)
    for _ in range(300):
        socket.create_connection(receiver.address).close()
    still_works(receiver)
    check(receiver.err.count('\n') == 21, receiver.err)


@test
def the_second_sender_is_refused(directory):
    """One session: while it lasts, and after it, nobody listens."""
    receiver = waiting(directory)
    write('file', b'x')
    peer = sender_peer(receiver)
    wait_for(lambda: Command('send', 'file', receiver.url, env={'ZCSOCK_KEY': KEY}).end(1).err
             .find('Connection refused') >= 0, 'a refusal')
    peer.reset()
    receiver.end(1, 'lost the sender')


main()
