# SPDX-License-Identifier: MIT
"""What the tests of the command share: running it, and peers that speak its protocol.

A test is a function with @test; it gets an empty directory that is also where its commands run. A
script ends with main(). TAP on standard output, exit status 0 or 1.
"""
import hashlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

COMMAND = os.path.abspath(sys.argv[1])
KEY = '00112233445566778899aabbccddeeff'
HASH_OF_NOTHING = bytes.fromhex('99aa06d3014798d86001c324468d497f')
UNKNOWN = 2**64 - 1
LIMIT = 60  # seconds that any step may take

FILE, CHUNK, KEEP, END, GIVEUP, DONE, ACCEPT, BUSY, VERDICT = range(1, 10)
(OK, BAD_NAME, EXISTS, NOT_A_FILE, ONE_ONLY, NO_SPACE, DENIED, IO, CHECKSUM, SHRANK, GREW, CHANGED,
 STOPPED, TOO_SLOW, MISUSE) = range(15)

tests = []


def test(function):
    tests.append(function)
    return function


class Skip(Exception):
    pass


def main():
    failed = 0
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # a shell's "&" ignores SIGINT
    print(f'1..{len(tests)}', flush=True)
    for number, function in enumerate(tests, 1):
        directory = tempfile.mkdtemp(prefix='zcsock-test-')
        start = time.monotonic()
        try:
            os.chdir(directory)
            function(directory)
            line = f'ok {number} - {function.__name__}'
        except Skip as skip:
            line = f'ok {number} - {function.__name__} # SKIP {skip}'
        except Exception:  # pylint: disable=broad-except
            failed += 1
            line = f'not ok {number} - {function.__name__}'
            for text in traceback.format_exc().splitlines():
                print('#', text)
        finally:
            end_all()
            os.chdir('/')
            shutil.rmtree(directory, ignore_errors=True)
        print(f'{line} # {time.monotonic() - start:.2f} s', flush=True)
    sys.exit(1 if failed else 0)


# ---- the command -------------------------------------------------------------------------------

running = []


def end_all():
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
    running.clear()


def environment(extra):
    env = {name: value for name, value in os.environ.items() if name != 'ZCSOCK_KEY'}
    env['LC_ALL'] = 'C'
    return env | (extra or {})


class Command:
    """A zcsock that runs. wrap: a command in front of it; the pid is then the wrapper's."""

    def __init__(self, *args, env=None, stdin=subprocess.DEVNULL, wrap=(), **more):
        self.process = subprocess.Popen([*wrap, COMMAND, *args], stdin=stdin, env=environment(env),
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        running.append(self.process)
        self.pid = self.process.pid
        self.out = ''
        self.err = ''

    def line(self):
        """The next line of standard output."""
        fd = self.process.stdout.fileno()
        text = b''
        while not text.endswith(b'\n'):
            ready, _, _ = select.select([fd], [], [], LIMIT)
            byte = os.read(fd, 1) if ready else b''
            if not byte:
                raise AssertionError(f'no line; stderr: {self.process.stderr.read()!r}')
            text += byte
        return text.decode()

    def end(self, code=None, says=None):
        """Waits; checks the exit status, and that standard error has these words."""
        out, err = self.process.communicate(timeout=LIMIT)
        self.out, self.err = out.decode(), err.decode()
        if code is not None:
            check(self.process.returncode == code,
                  f'exit status {self.process.returncode}, not {code}: {self.err}')
        if says is not None:
            check(says in self.err, f'{says!r} is not in {self.err!r}')
        if code == 0:
            check(says is not None or self.err == '', f'unexpected: {self.err!r}')
        return self

    @property
    def json(self):
        return json.loads(self.out.splitlines()[-1])


class Recv(Command):
    def __init__(self, *args, listen='127.0.0.1:0', **more):
        where = ['--listen', listen] if listen else []
        super().__init__('recv', *where, *args, **more)
        self.first = self.line()
        if '--json' in args:
            self.url = json.loads(self.first)['url']
        else:
            check(self.first.startswith("zcsock send FILE 'zcsock://"), self.first)
            self.url = self.first.split("'")[1]
        place, _, self.key = self.url.removeprefix('zcsock://').partition('/')
        host, self.port = place.rsplit(':', 1)
        self.address = (host.strip('[]'), int(self.port))


def send(*args, code=0, says=None, **more):
    return Command('send', *args, **more).end(code, says)


def recv_with_key(*args, **more):
    """A receiver whose key the peers below know."""
    return Recv(*args, env={'ZCSOCK_KEY': KEY}, **more)


# ---- files ---------------------------------------------------------------------------------------

def check(condition, text='check failed'):
    if not condition:
        raise AssertionError(text)


def write(path, data):
    with open(path, 'wb') as file:
        file.write(data)
    return path


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def listing(directory):
    return sorted(os.listdir(directory))


def wait_for(condition, text):
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.002)
    raise AssertionError('waited in vain for ' + text)


def part_in(directory):
    """The temporary file, once it is there."""
    return wait_for(lambda: [name for name in os.listdir(directory)
                             if name.startswith('.zcsock-') and name.endswith('.part')],
                    'a temporary file')[0]


def memory_kib(pid):
    for line in read(f'/proc/{pid}/status').decode().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1])
    return 0


# ---- peers ---------------------------------------------------------------------------------------

def proof(word, nonce_a, nonce_b, key=KEY):
    return hashlib.blake2b(word + nonce_a + nonce_b, key=bytes.fromhex(key), digest_size=32).digest()


def head(kind, code=0, length=0, value=0, magic=b'zcs1'):
    return magic + struct.pack('<HHQQ', kind, code, length, value)


class Peer:
    """A connected socket that proves the key as either side, and then says what a test wants."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(LIMIT)

    @classmethod
    def connect(cls, receiver):
        return cls(socket.create_connection(receiver.address, timeout=LIMIT))

    def take(self, length):
        data = b''
        while len(data) < length:
            more = self.sock.recv(length - len(data))
            if not more:
                raise AssertionError(f'hung up after {len(data)} of {length} bytes')
            data += more
        return data

    def prove_as_sender(self, key=KEY):
        nonce = os.urandom(32)
        self.sock.sendall(b'zcsock1\n' + nonce)
        theirs = self.take(40)[8:]
        self.sock.sendall(proof(b'zcsock1 sender  ', nonce, theirs, key))
        return self.take(32) == proof(b'zcsock1 receiver', nonce, theirs, key)

    def prove_as_receiver(self, key=KEY):
        nonce = os.urandom(32)
        theirs = self.take(40)[8:]
        self.sock.sendall(b'zcsock1\n' + nonce)
        right = self.take(32) == proof(b'zcsock1 sender  ', theirs, nonce, key)
        self.sock.sendall(proof(b'zcsock1 receiver', theirs, nonce, key))
        return right

    def say(self, kind, code=0, length=0, value=0, body=b''):
        self.sock.sendall(head(kind, code, length or len(body), value) + body)

    def hear(self):
        """(type, code, length, value) of the next frame but BUSY and KEEP."""
        while True:
            data = self.take(24)
            check(data[:4] == b'zcs1', data)
            frame = struct.unpack('<HHQQ', data[4:])
            if frame[0] not in (BUSY, KEEP):
                return frame

    def offer(self, name, size=0):
        """Announces a file; the answer as (type, code)."""
        self.say(FILE, value=size, body=name)
        return self.hear()[:2]

    def hung_up(self):
        """All that still comes is thrown away."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.sock.close()


def sender_peer(receiver):
    peer = Peer.connect(receiver)
    check(peer.prove_as_sender(), 'the receiver did not prove the key')
    return peer


class Listener:
    """A fake receiver; its url is for zcsock send."""

    def __init__(self):
        self.sock = socket.create_server(('127.0.0.1', 0))
        self.sock.settimeout(LIMIT)
        self.url = f'zcsock://127.0.0.1:{self.sock.getsockname()[1]}/{KEY}'

    def accept(self):
        return Peer(self.sock.accept()[0])

    def receiver_peer(self):
        peer = self.accept()
        check(peer.prove_as_receiver(), 'the sender did not prove the key')
        return peer
