#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files that arrive."""
import os
import re
import subprocess

from kit import COMMAND, Command, KEY, Recv, check, listing, main, read, send, test, write

MIB = 1 << 20


def one(directory, data, recv_args=(), send_args=(), listen='127.0.0.1:0', name='file'):
    os.makedirs('out', exist_ok=True)
    write(name, data)
    receiver = Recv('-o', 'out', *recv_args, listen=listen)
    sender = send(*send_args, name, receiver.url)
    receiver.end(0)
    check(listing('out') == [name], listing('out'))
    check(read('out/' + name) == data, 'other bytes')
    return sender, receiver


@test
def one_file(directory):
    sender, receiver = one(directory, os.urandom(20 * MIB + 12345))
    check(sender.out.startswith('sent 1 file, 20.0 MiB in '), sender.out)
    check(receiver.out.startswith('received 1 file, 20.0 MiB in '), receiver.out)
    check('checksum ok' in receiver.out, receiver.out)


@test
def sizes_around_the_edges(directory):
    names = []
    for size in (1, 23, 24, 4095, 4096, 4097, 524287, 524288, 524289, 57344 * 3, MIB + 1):
        names.append(write(f'f{size}', os.urandom(size)))
    os.mkdir('out')
    receiver = Recv('-o', 'out')
    send(*names, receiver.url)
    receiver.end(0)
    check(listing('out') == sorted(names))
    for name in names:
        check(read(name) == read('out/' + name), name)


@test
def many_files(directory):
    os.makedirs('in')
    os.mkdir('out')
    names = [write(f'in/{i}', os.urandom(i * 100)) for i in range(100)]
    receiver = Recv('-o', 'out')
    check('sent 100 files' in send(*names, receiver.url).out)
    receiver.end(0)
    check(all(read(f'in/{i}') == read(f'out/{i}') for i in range(100)))


@test
def empty_file(directory):
    sender, receiver = one(directory, b'', ['--json'], ['--json'])
    check(sender.json['files'] == [{'name': 'file', 'bytes': 0,
                                    'xxh3': '99aa06d3014798d86001c324468d497f'}], sender.out)
    check(receiver.json['files'] == sender.json['files'])


@test
def ipv6(directory):
    _, receiver = one(directory, os.urandom(MIB), listen='[::1]:0')
    check(receiver.url.startswith('zcsock://[::1]:'), receiver.url)


@test
def any_address(directory):
    _, receiver = one(directory, os.urandom(MIB), listen=None)
    check('//0.0.0.0' not in receiver.url and '//[::]' not in receiver.url, receiver.url)


@test
def a_host_name(directory):
    write('file', b'x')
    os.mkdir('out')
    receiver = Recv('-o', 'out')
    send('file', receiver.url.replace('127.0.0.1', 'localhost'))
    receiver.end(0)


@test
def here_is_the_default(directory):
    write('file', b'hello')
    os.mkdir('out')
    receiver = Recv(cwd='out')
    send('file', receiver.url)
    receiver.end(0)
    check(read('out/file') == b'hello')


@test
def into_a_named_file(directory):
    write('file', b'hello')
    os.mkdir('out')
    receiver = Recv('-o', 'out/other')
    send('file', receiver.url)
    receiver.end(0)
    check(listing('out') == ['other'] and read('out/other') == b'hello')


@test
def only_the_last_part_of_a_path_is_sent(directory):
    os.makedirs('a/b')
    os.mkdir('out')
    write('a/b/file', b'hello')
    receiver = Recv('-o', 'out')
    send(directory + '/a/b/../b/file', receiver.url)
    receiver.end(0)
    check(listing('out') == ['file'])


@test
def another_name(directory):
    os.mkdir('out')
    write('file', b'hello')
    receiver = Recv('-o', 'out')
    send('--name', 'other', './file', receiver.url)
    receiver.end(0)
    check(listing('out') == ['other'] and read('out/other') == b'hello')


@test
def standard_input(directory):
    data = os.urandom(5 * MIB + 77)
    os.mkdir('out')
    receiver = Recv('-o', 'out')
    sender = Command('send', '-', receiver.url, stdin=subprocess.PIPE)
    sender.process.stdin.write(data)
    sender.end(0)
    receiver.end(0)
    check(read('out/stdin') == data)


@test
def standard_input_with_pauses(directory):
    """The pauses are longer than the time limit of the receiver."""
    os.mkdir('out')
    receiver = Recv('-o', 'out', '--timeout', '1')
    sender = Command('send', '--name', 'words', '-', receiver.url, stdin=subprocess.PIPE)
    for word in (b'one ', b'two ', b'three'):
        sender.process.stdin.write(word)
        sender.process.stdin.flush()
        try:
            sender.process.wait(1.3)
        except subprocess.TimeoutExpired:
            pass
    sender.end(0)
    receiver.end(0)
    check(read('out/words') == b'one two three')


@test
def standard_input_empty_and_redirected(directory):
    write('file', os.urandom(3 * MIB))
    os.mkdir('out')
    receiver = Recv('-o', 'out')
    with open('file', 'rb') as file:
        send('-', receiver.url, stdin=file)
    receiver.end(0)
    check(read('out/stdin') == read('file'))
    receiver = Recv('-o', 'out/empty')
    send('-', receiver.url)
    receiver.end(0)
    check(read('out/empty') == b'')


@test
def both_ways(directory):
    for way in ('--copy', '--zerocopy'):
        for other in ('--copy', '--zerocopy'):
            one(directory, os.urandom(4 * MIB + 1), [other, '--trust-peer'], [way])
            os.unlink('out/file')


@test
def copying_lends_nothing(directory):
    sender, receiver = one(directory, os.urandom(4 * MIB), ['--copy', '--json'],
                           ['--copy', '--json'])
    check(sender.json['lent_pct'] == 0, sender.out)
    check(receiver.json['mapped_pct'] == 0, receiver.out)
    check(sender.json['reasons'] and receiver.json['reasons'], sender.out + receiver.out)


@test
def zerocopy_lends(directory):
    sender, _ = one(directory, os.urandom(4 * MIB), ['--json'], ['--zerocopy', '--json'])
    check(sender.json['lent_pct'] > 99, sender.out)
    check(sender.json['reasons'], sender.out)


@test
def json_for_machines(directory):
    sender, receiver = one(directory, os.urandom(MIB), ['--json'], ['--json'])
    check(len(sender.out.splitlines()) == 1, sender.out)
    for report in (sender.json, receiver.json):
        check(report['ok'] is True and report['bytes'] == MIB and report['checksum'] == 'ok')
        check(report['files'][0]['name'] == 'file' and report['files'][0]['bytes'] == MIB)
        check(re.fullmatch('[0-9a-f]{32}', report['files'][0]['xxh3']))
        for name in ('seconds', 'gbytes_per_s', 'cpu_ms'):
            check(isinstance(report[name], (int, float)) and report[name] >= 0, name)
        for reason in report['reasons']:
            check(isinstance(reason['reason'], str) and reason['bytes'] > 0)
    check(0 <= sender.json['lent_pct'] <= 100 and 0 <= sender.json['uncopied_pct'] <= 100)
    check(0 <= receiver.json['mapped_pct'] <= 100)


@test
def reasons_are_about_the_bytes_of_files(directory):
    """Heads, names and hashes are always copied; nobody asked for that."""
    write('file', os.urandom(3 * MIB + 5))
    with open('file', 'rb') as file:
        for what, more in (('file', {}), ('-', {'stdin': file})):
            receiver = Recv('--json', '--force', '-o', 'copy')
            sender = send('--json', what, receiver.url, **more)
            receiver.end(0)
            check('asked for' not in sender.out + receiver.out, sender.out + receiver.out)
            for report in (sender.json, receiver.json):
                total = sum(reason['bytes'] for reason in report['reasons'])
                check(total <= 3 * MIB + 5, report)


@test
def odd_names(directory):
    """Spaces, UTF-8, bytes that are no UTF-8, a leading dash and dots are plain file names."""
    os.mkdir('out')
    names = [b'a b', 'h\u00e9'.encode(), b'\xff\xfe', b'..x', b'...', b'.hidden', b'-', b'x' * 255]
    for name in names:
        write(os.path.join(directory.encode(), name), name)
    receiver = Recv('--json', '-o', 'out')
    send(*[b'./' + name for name in names], receiver.url)
    receiver.end(0)
    check(sorted(os.listdir(b'out')) == sorted(names))
    shown = [file['name'] for file in receiver.json['files']]
    check(shown[:3] == ['a b', 'h\u00e9', '\\xff\\xfe'], shown)


@test
def help_and_version(directory):
    check(Command('--version').end(0).out.startswith('zcsock '))
    check('send files' in Command('--help').end(0).out)
    for command in ('send', 'recv'):
        usage = Command(command, '--help').end(0).out
        check(usage.startswith(f'usage: zcsock {command} '))
        check(all(len(line) <= 73 for line in usage.splitlines()), 'a manual page indents by 7')
        check(Command(command, '-h').end(0).out == usage)
        check(Command('help', command).end(0).out == usage)
    check(Command('help').end(0).out == Command('--help').end(0).out == Command('-h').end(0).out)
    Command('help', 'frobnicate').end(2, "no command 'frobnicate'")


@test
def help_is_the_synopsis_of_the_manual(directory):
    manual = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../docs/man')
    for command in ('send', 'recv'):
        page = read(f'{manual}/zcsock-{command}.1.scd').decode()
        synopsis = page.split('# SYNOPSIS')[1].split('# ')[0]
        plain = re.sub('[*_+]', '', synopsis).split()
        usage = Command(command, '--help').end(0).out.removeprefix('usage: ').split()
        check(plain == usage, f'{plain} {usage}')


@test
def wrong_usage(directory):
    write('file', b'')
    url = 'zcsock://127.0.0.1:1/' + KEY
    Command().end(2, 'a command is needed')
    Command('frobnicate').end(2, "no command 'frobnicate'")
    for args in ([], ['file'], [url], ['--nonsense', 'file', url], ['file', 'http://x:1/' + KEY]):
        Command('send', *args).end(2, 'usage: zcsock send')
    for bad in ('zcsock://', 'zcsock://x', 'zcsock://x:', 'zcsock://x:0/' + KEY,
                'zcsock://x:70000/' + KEY, 'zcsock://::1:5/' + KEY, 'zcsock://:5/' + KEY,
                'zcsock://x:5/abc', 'zcsock://x:5/' + KEY + '0', 'zcsock://x:5/' + 'g' * 32):
        Command('send', 'file', bad).end(2, 'the URL: ')
    Command('send', '--copy', '--zerocopy', 'file', url).end(2, 'exclude each other')
    Command('send', '--name', 'a/b', '-', url).end(2, '--name')
    Command('send', '--name', 'a', 'file', '-', url).end(2, '--name names one file')
    for bad in ('0', '-1', 'x', '', '1s', '99999999999999999999'):
        Command('send', '--timeout', bad, 'file', url).end(2, '--timeout takes seconds')
    Command('recv', 'file').end(2, 'usage: zcsock recv')
    Command('recv', '--nonsense').end(2, 'usage: zcsock recv')
    Command('recv', '-o', '').end(2, '-o takes')


@test
def results_that_nobody_can_read_fail(directory):
    with open('/dev/full', 'w', encoding='ascii') as full:
        code = subprocess.run([COMMAND, '--version'], stdout=full, stderr=subprocess.DEVNULL,
                              check=False).returncode
    check(code == 1, code)


main()
