#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""zcsock lab: a command beside the partner, how both end, and that nothing is left of them."""
import ctypes
import fcntl
import os
import pty
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time

from kit import COMMAND, Command, Skip, check, main, read, test, wait_for, write

MARK = 'ZCSOCK_TEST_MARK'
os.environ[MARK] = str(os.getpid())  # whatever a lab leaves behind has it in its environment
FAR4, FAR6 = '198.18.0.2', '2001:2::2'
MIB = 1 << 20

libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: whatever a lab leaves behind becomes our child
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a shell's "&" ignores it

# What commands in Python begin with
PRELUDE = """
import os, signal, socket, struct, subprocess, sys, time
FAR4, FAR6 = os.environ['ZCSOCK_LAB'], os.environ['ZCSOCK_LAB6']
def tell(*words):
    return subprocess.run([os.environ['ZCSOCK'], 'lab', 'tell', *words], check=True,
                          capture_output=True, text=True).stdout
def stats():
    return {name: int(value) for name, value in
            (pair.split('=') for pair in tell('stats').split())}
def until(name, value):
    end = time.monotonic() + 60
    while stats()[name] != value:
        if time.monotonic() > end:
            sys.exit(f'{name} is {stats()[name]}, not {value}')
def dial(address, port):
    return socket.create_connection((address, port), timeout=60)
"""

# Says which signals it gets, one per line; SIGUSR2 ends it.
LISTENER = """
import os, signal, sys
signals = [getattr(signal, 'SIG' + name) for name in ('INT', 'TERM', 'HUP', 'QUIT', 'USR1', 'USR2')]
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
if 'apart' in sys.argv:
    os.setpgid(0, 0)
print('ready', flush=True)
while True:
    got = signal.Signals(signal.sigwait(signals)).name
    print(got, flush=True)
    if got == 'SIGUSR2':
        sys.exit(7)
"""


# ---- labs ----------------------------------------------------------------------------------------

lacking = []


def needs_lab():
    """Skips where no lab can be, and only there: as root it is a failure."""
    if not lacking:
        probe = Command('lab', 'run', 'true')
        probe.end()
        lacking.append('' if probe.process.returncode == 0 else probe.err.strip())
    if 'needs root' in lacking[0]:
        raise Skip(lacking[0])
    check(not lacking[0], lacking[0])


def lab(*args, env=None, **more):
    needs_lab()
    return Command('lab', 'run', *args, env={'ZCSOCK': COMMAND} | (env or {}), **more)


def shell(script, *options, **more):
    return lab(*options, 'sh', '-c', script, **more)


def python(code, *options, **more):
    return lab(*options, sys.executable, '-c', PRELUDE + code, **more)


def listener(*args, **more):
    running = lab(sys.executable, '-c', LISTENER, *args, **more)
    check(running.line() == 'ready\n')
    return running


# ---- what is left --------------------------------------------------------------------------------

def processes():
    return [int(name) for name in os.listdir('/proc') if name.isdigit()]


def parent_of(pid):
    try:
        return int(read(f'/proc/{pid}/stat').decode(errors='replace').rpartition(')')[2].split()[1])
    except OSError:
        return 0


def has_mark(pid):
    try:
        return f'{MARK}={os.getpid()}'.encode() in read(f'/proc/{pid}/environ').split(b'\0')
    except OSError:
        return False


def children_of(pid):
    return [child for child in processes() if parent_of(child) == pid]


def left():
    """Processes of labs, also such as wait to be reaped, and such as hid their environment."""
    return [pid for pid in processes()
            if pid != os.getpid() and (parent_of(pid) == os.getpid() or has_mark(pid))]


def reaped():
    """Reaps what we inherited of a lab that was killed. True: nothing is left."""
    for pid in children_of(os.getpid()):
        os.waitpid(pid, os.WNOHANG)
    return not left()


def cookie():
    """The number of our network namespace, which no other one ever gets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return sock.getsockopt(socket.SOL_SOCKET, 71, 8)  # SO_NETNS_COOKIE


def namespaces(pids):
    """The cookies of the network namespaces of these processes."""
    seen, cookies = set(), set()
    home = os.open('/proc/self/ns/net', os.O_RDONLY)
    for pid in pids:
        try:
            number = os.readlink(f'/proc/{pid}/ns/net')
            if number in seen:
                continue
            seen.add(number)
            there = os.open(f'/proc/{pid}/ns/net', os.O_RDONLY)
        except OSError:
            continue
        check(libc.setns(there, 0) == 0, 'setns')
        cookies.add(cookie())
        os.close(there)
    check(libc.setns(home, 0) == 0, 'setns')
    os.close(home)
    return cookies


def no_interface():
    names = [name for _, name in socket.if_nameindex()]
    check('near0' not in names and 'far0' not in names, names)


def end_all_left():
    for pid in left():
        os.kill(pid, signal.SIGKILL)
    wait_for(reaped, 'an end of what was left')


def nothing_left():
    """At once: a lab ends after all that is of it."""
    remains = [read(f'/proc/{pid}/stat') for pid in left()]
    end_all_left()  # the next test finds nothing of this one
    check(not remains, remains)
    no_interface()


# ---- how it ends -----------------------------------------------------------------------------------

@test
def exit_status_is_that_of_the_command(directory):
    write('data', b'no program')
    for code, *command in ((0, 'true'), (3, 'sh', '-c', 'exit 3'), (255, 'sh', '-c', 'exit 255'),
                           (0, '--', 'true'), (2, 'sh', '-c', 'exit 2', '--mtu', 'x')):
        lab(*command).end(code)
        nothing_left()
    for code, command, says in ((127, 'no-such-command', 'No such file'), (127, '', 'No such file'),
                                (127, './none', 'No such file'), (126, './data', 'denied'),
                                (126, '/', 'denied'), (126, './data/x', 'Not a directory')):
        check(lab(command).end(code, says).err.count('\n') == 1)
        nothing_left()


@test
def a_crash_of_the_command(directory):
    for number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL, signal.SIGTERM):
        shell(f'kill -{int(number)} $$').end(128 + number)
        nothing_left()


@test
def a_status_although_nobody_wanted_those_of_children(directory):
    """A parent that ignores SIGCHLD hands that down; the command gets it as it was."""
    def ignore():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    shell('exit 3', preexec_fn=ignore).end(3)
    ignored = lab('grep', 'SigIgn', '/proc/self/status', preexec_fn=ignore).end(0).out.split()[1]
    check(int(ignored, 16) >> (signal.SIGCHLD - 1) & 1, ignored)


@test
def what_the_command_left_running_is_ended(directory):
    script = ('sleep 1000 & (sleep 1000 &) ; (setsid sleep 1000 &) ; env -i sleep 1000 &'
              'python=$1; "$python" -c "import os,time; os.fork() or time.sleep(1000)" & exit 4')
    lab('sh', '-c', script, 'sh', sys.executable).end(4)
    nothing_left()


@test
def what_the_command_did_not_start_is_spared(directory):
    """A script may start something and then become the lab."""
    script = 'sleep 1000 & echo $!; exec "$ZCSOCK" lab run true'
    needs_lab()
    with subprocess.Popen(['sh', '-c', script], stdout=subprocess.PIPE,
                          env=os.environ | {'ZCSOCK': COMMAND}) as process:
        other = int(process.stdout.readline())
        check(process.wait(60) == 0)
        check(left() == [other], left())
    end_all_left()


@test
def signals_reach_the_command(directory):
    running = listener()
    for name in ('SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGTERM', 'SIGUSR2'):
        os.kill(running.pid, getattr(signal, name))
        check(running.line() == name + '\n', name)
    running.end(7)
    nothing_left()


@test
def a_signal_that_ends_the_command_ends_the_lab(directory):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        running = shell('echo ready; exec sleep 1000')
        running.line()
        os.kill(running.pid, number)
        running.end(128 + number)
        nothing_left()


@test
def a_signal_at_any_time_ends_it(directory):
    """While the lab is made there is no command yet. No such signal gets lost."""
    def pending():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)
    lab('sleep', '1000', preexec_fn=pending).end(128 + signal.SIGTERM)
    nothing_left()
    early = 0
    for i in range(30):
        running = lab('sleep', '1000')
        time.sleep(i * 0.001)  # spreads them over the start; no time is wrong
        os.kill(running.pid, signal.SIGTERM)
        running.end()
        early += running.process.returncode == -signal.SIGTERM
        check(running.process.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM),
              running.process.returncode)
        nothing_left()
    print(f'# {early} came before the program did')


@test
def an_ignored_signal_stays_ignored(directory):
    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    running = shell('grep SigIgn /proc/self/status; read line; exit 5', preexec_fn=ignore,
                    stdin=subprocess.PIPE)
    check(int(running.line().split()[1], 16) & 1, 'not ignored by the command')
    os.kill(running.pid, signal.SIGHUP)
    running.process.stdin.write(b'\n')
    running.end(5)


@test
def a_lab_that_is_killed_takes_partner_and_command_along(directory):
    running = shell('echo ready; sleep 1000; :')
    running.line()
    family = children_of(running.pid)
    check(len(family) == 2, family)
    spaces = namespaces(family) - namespaces([os.getpid()])
    check(len(spaces) == 2, spaces)
    os.kill(running.pid, signal.SIGKILL)
    running.process.wait(60)
    wait_for(lambda: not any(os.path.exists(f'/proc/{pid}/ns/net') and has_mark(pid)
                             for pid in family), 'the end of partner and command')
    end_all_left()  # what the command started lives on: that is in the manual
    check(not spaces & namespaces(processes()), 'a namespace is left')
    no_interface()


@test
def no_namespace_is_left(directory):
    running = lab('cat', stdin=subprocess.PIPE)
    family = wait_for(lambda: len(children_of(running.pid)) == 2 and children_of(running.pid),
                      'partner and command')
    spaces = wait_for(lambda: len(namespaces(family)) == 2 and namespaces(family), 'namespaces')
    check(spaces <= namespaces(processes()))
    no_interface()
    running.end(0)
    nothing_left()
    check(not spaces & namespaces(processes()), 'a namespace is left')


@test
def a_partner_that_ends_is_not_waited_for(directory):
    running = shell('echo $$; exec sleep 1000')
    command = int(running.line())
    partner = [pid for pid in children_of(running.pid) if pid != command]
    os.kill(partner[0], signal.SIGKILL)
    check(running.end(125, 'the partner ended').err.count('\n') == 1)
    nothing_left()


@test
def signals_to_a_whole_group_leave_the_partner_alone(directory):
    """timeout(1) signals all of its group; the command may want to say good-bye."""
    running = python("""
signal.signal(signal.SIGTERM, lambda *_: None)
print('ready', flush=True)
signal.pause()
with dial(FAR4, 7) as echo:
    echo.sendall(b'good-bye')
    print(echo.recv(8).decode(), flush=True)
""", start_new_session=True)
    running.line()
    os.killpg(running.pid, signal.SIGTERM)
    check(running.line() == 'good-bye\n')
    running.end(0)


# ---- the terminal ----------------------------------------------------------------------------------

class Terminal:
    def __init__(self):
        self.main, self.other = pty.openpty()

    def start(self, function, *args):
        """On the terminal, in its foreground."""
        def take():
            fcntl.ioctl(self.other, termios.TIOCSCTTY, 0)
        running = function(*args, stdin=self.other, start_new_session=True, preexec_fn=take)
        os.close(self.other)
        return running

    def type(self, text):
        os.write(self.main, text)


@test
def the_command_reads_the_terminal(directory):
    terminal = Terminal()
    running = terminal.start(shell, 'echo ready; read line; echo "got $line"; tty >&2')
    running.line()
    terminal.type(b'hello\n')
    running.end(0, '/dev/')
    check(running.out == 'got hello\n', running.out)


@test
def a_key_reaches_the_command_once(directory):
    """Twice often means: hurry. The terminal signals its group, of which the command is one."""
    for args in ((), ('apart',)):
        terminal = Terminal()
        running = terminal.start(listener, *args)
        for key, name in ((b'\x03', 'SIGINT'), (b'\x1c', 'SIGQUIT')):
            terminal.type(key)
            check(running.line() == name + '\n', name)
            os.kill(running.pid, signal.SIGUSR1)
            check(running.line() == 'SIGUSR1\n', 'more than once')
        os.kill(running.pid, signal.SIGUSR2)
        running.end(7)


# ---- what the command finds ------------------------------------------------------------------------

@test
def the_environment_names_the_partner(directory):
    running = lab('env', env={'ZCSOCK_LAB': 'other', 'KEPT': 'yes'}).end(0)
    for line in (f'ZCSOCK_LAB={FAR4}', f'ZCSOCK_LAB6={FAR6}', 'KEPT=yes'):
        check(line in running.out.splitlines(), running.out)


@test
def the_services_answer_at_once(directory):
    """Over IPv6 too, which elsewhere takes a second to get ready."""
    for _ in range(3):
        python("""
for address in (FAR6, FAR4):
    with dial(address, 7) as echo:
        echo.sendall(b'hello')
        assert echo.recv(5) == b'hello'
    with dial(address, 9) as sink:
        sink.sendall(b'hello')
        sink.shutdown(socket.SHUT_WR)
        assert sink.recv(1) == b''
    with dial(address, 19) as source:
        assert len(source.recv(1000)) > 0
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.sendto(b'hello', (address, 9))
until('received', 10)
until('udp_bytes', 10)
""").end(0)


@test
def there_is_nothing_but_the_partner(directory):
    running = python("""
print(*[name for _, name in socket.if_nameindex()])
try:
    socket.create_connection(('192.0.2.1', 9), timeout=60)
except OSError as error:
    print(error.strerror)
""").end(0)
    check(running.out == 'lo near0\nNetwork is unreachable\n', running.out)


@test
def descriptors_and_streams_pass_through(directory):
    data = os.urandom(MIB)
    running = shell('ls /proc/self/fd >&2; cat', stdin=subprocess.PIPE)
    out, err = running.process.communicate(data, timeout=60)
    check(out == data and running.process.returncode == 0)
    check(err.split() == [b'0', b'1', b'2', b'3'], err)  # 3 is the directory that ls reads
    def closed():
        os.close(0)
    lab('true', preexec_fn=closed).end(0)
    lab('cat', preexec_fn=closed).end(1, 'Bad file descriptor')


@test
def the_partner_has_a_processor_of_its_own(directory):
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Skip('one processor')
    code = 'print(*sorted(os.sched_getaffinity(0)), os.sched_getaffinity(%d))'
    code = code.replace('%d', 'int(open(f"/proc/{os.getppid()}/task/{os.getppid()}/children")'
                              '.read().split()[0])')
    for options, cpu in (((), cpus[-1]), (('--cpu', str(cpus[0])), cpus[0])):
        others = ' '.join(str(other) for other in cpus if other != cpu)
        check(python(code, *options).end(0).out == f'{others} {{{cpu}}}\n')
    check(lab('--cpu', '4095', 'true').end(125, 'processor 4095').err.count('\n') == 1)


@test
def mtu(directory):
    for size in (1280, 1500, 9000, 65535):
        running = python("""
import fcntl
with socket.socket() as sock:
    name = fcntl.ioctl(sock, 0x8921, struct.pack('16s16x', b'near0'))  # SIOCGIFMTU
print(struct.unpack_from('i', name, 16)[0])
for address in (FAR4, FAR6):
    with dial(address, 9) as sink:
        sink.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
        data, at = memoryview(bytes(1 << 20)), 0
        while at < len(data):
            at += sink.send(data[at:], 0x4000000)  # MSG_ZEROCOPY
        sink.shutdown(socket.SHUT_WR)
        assert sink.recv(1) == b''
until('received', 2 << 20)
""", '--mtu', str(size)).end(0)
        check(running.out == f'{size}\n', running.out)


@test
def labs_side_by_side(directory):
    for count in (2, 4):
        code = """
sink = dial(FAR4, 9)
print('ready', flush=True)
sys.stdin.readline()
sink.sendall(bytes(int(sys.argv[1])))
sink.close()
until('received', int(sys.argv[1]))
until('connections', 1)
"""
        labs = [lab(sys.executable, '-c', PRELUDE + code, str(1000 + i), stdin=subprocess.PIPE)
                for i in range(count)]
        for running in labs:
            running.line()
        for running in labs:
            running.process.stdin.write(b'\n')
            running.process.stdin.flush()
        for running in labs:
            running.end(0)
    nothing_left()


@test
def a_lab_within_a_lab(directory):
    shell('"$ZCSOCK" lab run sh -c \'echo "$ZCSOCK_LAB"; "$ZCSOCK" lab tell stats >&2; exit 6\''
          ).end(6, 'connections=0')
    nothing_left()


# ---- options -----------------------------------------------------------------------------------------

GOOD = {
    'ack-bytes': ('1', '4096', '64K', '1M', '2G', '18446744073709551615'),
    'ack-time': ('0ns', '20us', '5ms', '1s', '60s'),
    'hold-acks': ('yes', 'no', None),
    'length': ('0', '64K', 'never'),
    'loss': ('0', '1', '0.01', '.5', '1%', '100%', '2.5%'),
    'partial-ack': ('yes', 'no', None),
    'payload': ('1', '4096', '32K'),
    'rate': ('0', '10M'),
    'reorder': ('0%', '0.5'),
    'rst-at': ('0', '1M', 'never'),
    'rtt': ('0s', '20ms', '60s'),
    'seed': ('0', '1', '18446744073709551615'),
    'silent-at': ('0', '1M', 'never'),
    'verify': ('yes', 'no', None),
    'window': ('0', '64K', '64M'),
    'zero-window-at': ('0', '1M', 'never'),
}
HUGE = '99999999999999999999'
BAD = {
    'ack-bytes': ('', '0', 'x', '-1', '1k', '1T', ' 1', '1 ', HUGE, '18014398509481984K'),
    'ack-time': ('', '5', 'us', '-1us', '1m', '61s', '1.5ms', HUGE + 's'),
    'hold-acks': ('', '1', 'YES', 'true'),
    'length': ('', 'Never', '-1', HUGE),
    'loss': ('', '1.1', '101%', '-1%', 'nan', 'inf', '1%%', '%', '0.5x'),
    'partial-ack': ('maybe',),
    'payload': ('0', '32769', '33K', '1G'),
    'rate': ('', '1Mbit', HUGE + '\nx'),
    'reorder': ('', '2', '1e9'),
    'rst-at': ('', 'x'),
    'rtt': ('', '20', '61s', '1h'),
    'seed': ('', '1K', '-1', '18446744073709551616'),
    'silent-at': ('', 'x'),
    'verify': ('si',),
    'window': ('', '65M', '-1'),
    'zero-window-at': ('', 'x'),
    'mtu': ('', '0', '1279', '65536', '9000x', '-1', HUGE),
    'cpu': ('', '-1', '4096', 'x', HUGE),
}


def spelled(name, value):
    return f'--{name}' if value is None else f'--{name}={value}'


@test
def options_are_accepted(directory):
    names = re.findall('^  --([a-z-]+)', Command('lab', '--help').end(0).out, re.MULTILINE)
    check(set(names) == set(GOOD) | {'mtu', 'cpu'}, names)
    for number in range(max(map(len, GOOD.values()))):
        given = [spelled(name, values[number]) for name, values in GOOD.items()
                 if number < len(values)]
        lab(*given, 'true').end(0)
        script = ''.join(f'"$ZCSOCK" lab tell {name} {values[number] or ""} || exit 1;'
                         for name, values in GOOD.items() if number < len(values))
        shell(script).end(0)
    lab('--loss', '1%', '--rtt', '1ms', '--verify', '--', 'true').end(0)


@test
def wrong_usage(directory):
    """One line, and nothing is started, not even for a moment."""
    wrong = [(spelled(name, value), 'touch', 'started') for name, values in BAD.items()
             for value in values]
    wrong += [('--nonsense', 'true'), ('--a', '1', 'true'), ('-x',), ('--rtt',), ('--help=x',),
              ('--loss', '1%'), ('--',), ()]
    wrong = [('run', *args) for args in wrong]
    wrong += [(), ('walk',), ('',), ('tell',), ('tell', 'rtt', '5ms', '6ms'), ('--nonsense',),
              ('tell', 'x' * 200), ('tell', 'rtt', '1' * 123), ('tell', 'stats\nreset')]
    for args in wrong:
        running = Command('lab', *args).end(2, 'zcsock lab: ')
        check(running.err.count('\n') == 1, (args, running.err))
        check(running.out == '' and os.listdir() == [], args)


@test
def help_is_there_in_all_places(directory):
    text = Command('lab', '--help').end(0).out
    check(text.startswith('usage: zcsock lab run '), text)
    check(all(len(line) <= 80 for line in text.splitlines()), text)
    for args in (['-h'], ['run', '--help'], ['run', '-h'], ['run', '--rtt', '5ms', '--help'],
                 ['tell', '--help'], ['tell', '-h']):
        check(Command('lab', *args).end(0).out == text, args)
    check(text.startswith(Command('help', 'lab').end(0).out))


@test
def help_and_manual_agree(directory):
    here = os.path.dirname(os.path.abspath(__file__))
    page = read(f'{here}/../../docs/man/zcsock-lab.1.scd').decode()
    usage = Command('help', 'lab').end(0).out.removeprefix('usage: ')
    check(all(len(line) <= 66 for line in usage.splitlines()), 'a manual page indents by 7')
    synopsis = page.split('# SYNOPSIS')[1].split('# ')[0]
    check(re.sub('[*_+]', '', synopsis).split() == usage.split(), synopsis)
    described = re.findall(r'^\*--([a-z-]+)\*', page, re.MULTILINE)
    check(described == sorted(described) and set(described) == set(GOOD) | {'cpu', 'help', 'mtu'},
          described)


# ---- tell --------------------------------------------------------------------------------------------

@test
def tell_within_a_lab(directory):
    running = shell('"$ZCSOCK" lab tell stats; "$ZCSOCK" lab tell rtt 5ms; "$ZCSOCK" lab tell reset'
                    '; "$ZCSOCK" lab tell verify').end(0)
    check(re.fullmatch(r'([a-z_]+=[0-9]+[ \n])+', running.out), running.out)
    check(running.out.count('\n') == 1 and 'connections=0 ' in running.out, running.out)
    for words, says in (('nonsense', "'nonsense'"), ('rtt', 'rtt takes a time'),
                        ('rtt 5', 'rtt takes a time'), ('rtt 61s', 'out of bounds'),
                        ('verify si', 'yes or no'), ('mtu 1500', "'mtu'"), ('""', "''")):
        running = shell(f'"$ZCSOCK" lab tell {words}').end(2, says)
        check(running.err.count('\n') == 1 and running.out == '', running.err)


@test
def tell_changes_the_partner(directory):
    python("""
sink = dial(FAR4, 9)
tell('hold-acks')
sink.sendall(b'hello')
until('received', 5)
assert stats()['acks'] == 0
tell('hold-acks', 'no')
while not stats()['acks']:
    pass
tell('reset')
try:
    assert sink.recv(1) and False
except ConnectionResetError:
    print('reset')
""").end(0)


@test
def tell_as_another_user(directory):
    """Whom the command became may still tell."""
    if os.geteuid() != 0:
        raise Skip('it needs root to become another user')
    running = python("""
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
try:
    os.execlp(os.environ['ZCSOCK'], 'zcsock', 'lab', 'tell', 'stats')
except PermissionError:
    sys.exit(77)
""")
    running.end()
    if running.process.returncode == 77:
        raise Skip('another user cannot reach the program')
    check(running.process.returncode == 0 and 'connections=0' in running.out, running.err)


@test
def tell_outside_of_a_lab(directory):
    """At once: the address may be that of somebody else here."""
    running = Command('lab', 'tell', 'stats').end(1, 'there is no partner here')
    check(running.err.count('\n') == 1 and running.out == '')


@test
def tell_a_partner_that_stands_still(directory):
    running = python("""
partner = int(open(f'/proc/{os.getppid()}/task/{os.getppid()}/children').read().split()[0])
os.kill(partner, signal.SIGSTOP)
os.execlp(os.environ['ZCSOCK'], 'zcsock', 'lab', 'tell', 'stats')
""").end(1, 'does not answer')
    check(running.err.count('\n') == 1, running.err)
    nothing_left()


# ---- without root ------------------------------------------------------------------------------------

def says_what_is_missing(**more):
    running = Command('lab', 'run', 'touch', 'started', **more).end(125, 'the lab needs root')
    check(running.err.count('\n') == 1 and 'sudo' in running.err, running.err)
    check(not os.path.exists('started'))
    nothing_left()


@test
def without_privileges(directory):
    def drop():
        for capability in range(64):
            libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP: exec gets none of them
    says_what_is_missing(preexec_fn=drop)


@test
def another_user_than_root(directory):
    if os.geteuid() != 0:
        says_what_is_missing()
        return
    os.chmod('.', 0o777)
    def become():
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    try:
        says_what_is_missing(preexec_fn=become)
    except PermissionError as error:
        raise Skip('another user cannot reach the program') from error


@test
def root_of_a_container(directory):
    """It may make network namespaces, and load no program."""
    if not shutil.which('unshare') or subprocess.run(
            ['unshare', '-Ur', 'true'], stderr=subprocess.DEVNULL, check=False).returncode:
        raise Skip('there are no user namespaces here')
    for args in ('-Ur', '-Urn'):
        says_what_is_missing(wrap=('unshare', args))


main()
