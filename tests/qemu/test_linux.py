# SPDX-License-Identifier: MIT
"""The same shell commands here and on the Linux of the machine that tests, with
the same binaries: what they print and their status must not differ."""

import os
import re
import subprocess

import pytest

from conftest import BUILD, clean, folder_for, run_script

# One snippet a line; bash runs it in an empty folder with busybox in PATH.
SNIPPETS = r'''
echo hello; echo -n no newline; printf '%s|%5d|%x\n' a 42 255
mkdir -p a/b/c && cd a/b && pwd | sed 's|.*/a/b|a/b|'
echo one >f; echo two >>f; cat f; wc f; rm f; ls f
cat <<END | tr a-z A-Z; here; document; END
ls -la / >/dev/null; echo $?
echo a b c | tr ' ' '\n' | sort -r | head -2 | wc -l
for i in 1 2 3; do echo $((i * i)); done | paste -s -d+ | bc
x=$(echo nested $(echo $(echo deep))); echo "$x"; y=`echo back`; echo $y
touch z1 z2 a1; echo z*; echo ?1; echo [az]1; echo none*
export V=exported; sh -c 'echo $V'; env | grep ^V=; unset V; echo "[$V]"
(cd /; pwd); (exit 7); echo $?; { echo group; } >g; cat g
sleep 0.1 & wait $!; echo $?; sleep 100 & kill %1; wait $! ; echo $?
sh -c 'kill -9 $$'; echo $?; sh -c 'kill -TERM $$'; echo $?; sh -c 'exit 3'; echo $?
trap 'echo caught' USR1; kill -USR1 $$; echo after
no-such-command; echo $?
exec 5>five; echo to five >&5; exec 5>&-; cat five; exec 6<five; read -r line <&6; echo "$line"
echo text >f; cp f g; mv g h; ln f i; ln -s f j; cat h i j; readlink j; ls -l j | sed 's/.* -> /-> /'
stat -c '%F %a' .; echo 12345 >s; stat -c '%s %F %h' s; chmod 640 s; stat -c %a s
dd if=/dev/zero bs=1k count=3 2>/dev/null | od -A d -t x1 | tail -1
head -c 100000 /dev/zero | md5sum; seq 1 20000 | sha256sum; seq 1 1000 | gzip | gunzip | tail -1
mkdir t; echo x >t/x; tar cf t.tar t; rm -r t; tar xf t.tar; cat t/x; find t | sort
seq 1 100 | grep 7 | awk '{s += $1} END {print s, NR}'
echo 'a b c' | awk '{print $3, $1}'; expr 6 \* 7; date -d @0 -u +%Y-%m-%d
mkfifo p; echo through >p & cat p; wait; test -p p && echo fifo
yes | head -100000 | wc -c; echo ${PIPESTATUS[@]}
true | false; echo $?; ! true; echo $?; false || echo or; true && echo and
read -r a b <<<'first second third'; echo "$b"; IFS=: read -r a b <<<x:y; echo $a-$b
for f in *; do echo $f; done; case abc in a*) echo starts;; esac
f() { local v=$1; echo "in f: $v"; return 4; }; f arg; echo $?
arr=(1 2 3); arr+=(4); echo ${#arr[@]} ${arr[@]:1:2}; s=abcdef; echo ${s:2:3} ${s/cd/XX} ${#s}
diff <(seq 3) <(seq 4); echo $?; cat < <(echo process substitution)
timeout 0.2 sleep 5; echo $?; timeout 5 true; echo $?
echo $(( 1 << 40 )) $(( 7 % 3 )) $(( 0xff )); printf '%s\n' {a..e} | tr -d '\n'; echo
ulimit -c 0; echo $?; umask 027; touch u; stat -c %a u; umask
test -d / && test ! -e /nothing && test -w . && [ 3 -gt 2 ] && echo tests
seq 1 5 | xargs -n 2 echo; echo a,b | cut -d, -f2; echo abc | rev; echo hello | fold -w 2
cat /proc/self/cmdline | tr '\0' ' '; echo; readlink /proc/self/exe | sed 's|.*/||'
bash -c 'set -e; false; echo not reached'; echo $?; bash -c 'exec sh -c "exit 9"'; echo $?
i=0; while [ $i -lt 200 ]; do i=$((i + 1)); /bin/true; done; echo $i
echo start; for i in 1 2 3 4 5 6 7 8; do (echo $i >n$i) & done; wait; cat n* | sort -n | tr '\n' ' '
seq 100 | while read -r n; do echo $n; done | tail -1; echo done | tee t1 t2; cat t1 t2
mkdir d; rmdir d; rmdir d; mkdir -p d/e; rmdir d; rm -rf d; ls d; echo $?
cat nothing; cd nothing; echo $?; >/; echo $?; ls -d /bin
dd if=/dev/urandom of=r bs=1000 count=10 2>/dev/null; wc -c <r; cmp r r; dd if=r of=r2 bs=7 2>/dev/null; cmp r r2; echo $?
hexdump -C <<<'hex dump'; echo | od -c; printf '\001\377' | od -t u1
vi -h 2>&1 | head -1 | cut -c 1-7; less -h 2>&1 | head -1 | cut -c 1-7
kill -l | head -1 | cut -c 1-20; kill -l 9; type cd; type -t ls; command -v sh | sed 's|.*/||'
sleep 0.3 & p=$!; kill -STOP $p; kill -CONT $p; wait $p; echo $?
{ sleep 0.1; echo late; } & { echo early; } ; wait; jobs
seq 1 30000 >big; sort -rn big | head -1; tail -c 6 big; sed -n '29999,$p' big; grep -c 9 big
LC_ALL=C sort <<<$'b\na\nC'; uniq -c <<<$'a\na\nb' | tr -s ' '
exec 3<>rw; echo abc >&3; exec 3<&-; cat rw; : >empty; test -s empty; echo $?
sh -c 'echo $0 $#' a b c; set -- 1 2 3; shift; echo $* $#; echo "$@"
basename /a/b.c .c; dirname /a/b; realpath . | sed 's|.*/||' | wc -l; seq -s, 3
crc32 <<<x; printf 'a\tb\n' | expand -t 4; echo 'x y' | tr -s ' ' | nl -b a | tr -s ' '
'''.strip().split('\n')


def guest_script():
    lines = ['cd /tmp', 'export LC_ALL=C']
    for n, snippet in enumerate(SNIPPETS):
        lines.append(f'mkdir /tmp/s{n}; cd /tmp/s{n}; echo "<<{n}>>"')
        # Bash's own words about jobs that died name its pids: not compared.
        lines.append("bash -c " + quote(with_documents(snippet))
                     + " </dev/null 2>&1; echo; echo \"<<status $?>>\"")
    return '\n'.join(lines) + '\n'


def with_documents(snippet):
    return snippet.replace('; here; document; END', '\nhere\ndocument\nEND')


def quote(text):
    return "'" + text.replace("'", "'\\''") + "'"


@pytest.fixture(scope='module')
def transcripts():
    root = folder_for('test_linux.host')
    binaries = os.path.join(root, 'bin')
    os.mkdir(binaries)
    applets = subprocess.run(['/bin/busybox', '--list'], text=True,
                             stdout=subprocess.PIPE).stdout.split()
    for name in applets:
        os.symlink('/bin/busybox', os.path.join(binaries, name))
    os.symlink('/bin/bash-static', os.path.join(binaries, 'bash'))
    script = guest_script().replace('/tmp', root)
    host = subprocess.run(['/bin/bash-static', '-c', script], text=True,
                          errors='replace', stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          env={'PATH': binaries, 'HOME': root, 'TERM': 'linux'})
    status, guest = run_script('test_linux.guest', guest_script(), timeout=240)
    assert status == 0, guest[-2000:]
    return parts(host.stdout, root), parts(guest, '/tmp')


def parts(text, folder):
    text = clean(text).replace(folder, 'FOLDER')
    # Names in messages: the applet was found in another folder.
    text = text.replace('FOLDER/bin/', '/bin/')
    text = re.sub(r'line [0-9]+: +[0-9]+ (Killed|Terminated|Bus)', r'\1', text)
    found = re.findall(r'^<<([0-9]+)>>\n(.*?)^<<status', text,
                       re.S | re.M)
    return {int(n): body for n, body in found}


@pytest.mark.parametrize('n', range(len(SNIPPETS)))
def test_same_as_on_linux(transcripts, n):
    host, guest = transcripts
    assert n in host
    assert guest.get(n) == host[n], SNIPPETS[n]
