import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UnixNames } from '../../../../src/capture/write/sockets.js';
import { type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { snapshotSchema } from '../../../../src/contracts/snapshot.js';
import type { TriageJson } from '../../../../src/contracts/triage.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';
import { type Actor, NEW_NETNS, Stage, skcheckJson } from '../../skcheck/stage.js';

const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'snapshot-'));
afterAll(() => {
  sharing.kill('SIGKILL');
  stage.end();
  rmSync(dir, { recursive: true });
});

const FILES = { native: join(dir, 'native.tar.gz'), script: join(dir, 'script.tar.gz') };
/** Has a shared anonymous mapping of 32 MiB. */
const SHARING = `
import mmap, time
shared = mmap.mmap(-1, 32 << 20)
shared.write(b'x' * (32 << 20))
print(1, flush=True)
time.sleep(600)
`;
let sharing: ChildProcess;
let readers: Actor[];
let before: MemoryJson;
let after: MemoryJson;

const liveMemory = async (): Promise<MemoryJson> => {
  const { stdout } = await kdumpMem('memory', '--live', '--source', 'counters', '--json');
  return memorySchema.parse(JSON.parse(stdout));
};

beforeAll(async () => {
  const pairs = await Promise.all([
    stage.pair({ comm: '\u001b[31mx\n,"y\\' }, { bytes: 5000 }),
    stage.pair({}, { bytes: 6000 }, NEW_NETNS),
    stage.pair({ path: join(dir, 'a 5 b.sock') }, { bytes: 7000 }),
  ]);
  readers = pairs.map(({ server }) => server);
  sharing = spawn('python3', ['-c', SHARING], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(sharing.stdout!, 'data');
  before = await liveMemory();
  const native = await kdumpMem('snapshot', '--tmpfs', '--json', '-o', FILES.native);
  expect([native.status, native.stderr]).toEqual([0, '']);
  writeFileSync(join(dir, 'snapshot.json'), native.stdout);
  const script = join(dir, 'snapshot.sh');
  writeFileSync(script, (await kdumpMem('snapshot', '--script')).stdout);
  const run = spawnSync('sh', [script, '--tmpfs', FILES.script, '1'], { encoding: 'utf8' });
  expect(run).toMatchObject({ status: 0, stderr: '' });
  after = await liveMemory();
});

/** The files of an archive, unpacked by GNU tar. */
function unpacked(file: string, name: string): string {
  const place = join(dir, `unpacked-${name}`);
  mkdirSync(place, { recursive: true });
  expect(spawnSync('tar', ['-xzf', file, '-C', place]).status).toBe(0);
  return join(place, 'kdump-mem-snapshot');
}

describe.each(['native', 'script'] as const)('a snapshot of this machine (%s)', (name) => {
  test('contains shared anonymous mappings', () => {
    const list = readFileSync(join(unpacked(FILES[name], name), 'files-in-memory'), 'utf8');
    expect(list).toMatch(/^mapping 33554432 \S+ shared anonymous mapping$/m);
  });

  test('contains the stalled readers that the live machine reports', () => {
    const pids = readers.map(({ pid }) => pid);
    const stalledOf = (args: string[]) =>
      skcheckJson(args)
        .report.sockets.filter(({ pid }) => pid !== null && pids.includes(pid))
        .map(({ pid, comm, fds, unreadBytes, netns, stalled }) => ({
          pid,
          comm,
          fds,
          unreadBytes,
          netns,
          verdict: stalled.verdict,
        }))
        .sort((a, b) => Number(a.pid) - Number(b.pid));
    const live = stalledOf(['--interval', '1', '--stale']);
    expect(live.length).toBe(3);
    expect(stalledOf(['--stale', '--from', FILES[name]])).toEqual(live);
  });

  test('contains the memory breakdown, within what changed meanwhile', async () => {
    const { stdout, status } = await kdumpMem('memory', '--json', '--from', FILES[name]);
    expect(status).toBe(0);
    const breakdown = memorySchema.parse(JSON.parse(stdout));
    expect(breakdown.memory.bytes).toBe(before.memory.bytes);
    expect(breakdown.host).toEqual(before.host);
    const drift = breakdown.memory.bytes / 20;
    for (const [index, category] of breakdown.memory.children.entries()) {
      const [low, high] = [before, after].map(({ memory }) => memory.children[index]?.bytes ?? 0).sort((a, b) => a - b);
      expect(category.bytes).toBeGreaterThan((low ?? 0) - drift);
      expect(category.bytes).toBeLessThan((high ?? 0) + drift);
    }
  });

  test('is intact by its manifest, and by cksum', async () => {
    const { stdout, status } = await kdumpMem('snapshot', '--verify', FILES[name]);
    expect(status).toBe(0);
    expect(stdout).toContain('intact');
    const top = unpacked(FILES[name], name);
    const lines = readFileSync(join(top, 'manifest'), 'utf8').split('\n').slice(0, -2);
    const names = lines.map((line) => line.split(' ')[2] ?? '');
    const { stdout: sums } = spawnSync('cksum', names, { cwd: top, encoding: 'utf8' });
    expect(sums.split('\n').slice(0, -1)).toEqual(lines);
    expect(statSync(FILES[name]).mode & 0o777).toBe(0o600);
  });
});

test('both ways write one format', () => {
  const [native, script] = (['native', 'script'] as const).map((name) => unpacked(FILES[name], name));
  const files = (top = '') =>
    readdirSync(top, { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(join(top, name)).isFile())
      // Namespaces of other processes come and go.
      .filter((name) => !name.includes('/netns-') && !/^unknown-tables$/.test(name))
      .sort();
  expect(files(native)).toEqual(files(script));
  const read = (top: string | undefined, name: string) => readFileSync(join(top ?? '', name), 'latin1');
  for (const name of ['version', 'asked', 'left-out', 'proc/self/mountinfo', 'proc/version'])
    expect.soft(read(native, name), name).toBe(read(script, name));
  for (const name of files(native).filter((each) => /^proc\/sys\/(?:kernel|vm)\//.test(each)))
    expect.soft(read(native, name), name).toBe(read(script, name));
  // Lines of one idle process.
  const pid = readers[0]?.pid;
  const lines = (top: string | undefined, name: string) =>
    read(top, name)
      .split('\n')
      .filter(
        (line) => line.startsWith(`/proc/${pid}/`) && !/ctxt|stat:|Vm|Rss|oom_score:|wchan:|State:|SigQ:/.test(line),
      )
      .sort();
  expect(lines(native, 'sample-1/before').length).toBeGreaterThan(40);
  expect(lines(native, 'sample-1/before')).toEqual(lines(script, 'sample-1/before'));
  const paths = (top: string | undefined, name: string) =>
    new Set(
      read(top, name)
        .split('\n')
        .map((line) => line.replace(/:.*/, '')),
    );
  expect(paths(native, 'slab-attributes')).toEqual(paths(script, 'slab-attributes'));
});

test('the script removes names from the output of ss as kdump-mem does', () => {
  const script = readFileSync(join(dir, 'snapshot.sh'), 'utf8');
  const [body] = /^nameless\(\) \{\n[\s\S]*?'\n\}\n/m.exec(script) ?? [];
  const tail = 'skmem:(r1280,rb131072,t0,tb16384,f0,w0,o0,bl0,d0) <->';
  const text = [
    'Netid State Recv-Q Send-Q Local Address:Port',
    `u_str ESTAB 7      0  /run/a b 5 c.sock 100 * 101 ${tail}`,
    `u_dgr UNCONN 0 0 /run/é\t* 100 * 101   ${tail.replace('<->', '---')} ino:5 dev:0/6 peers: 1 2`,
    `u_str LISTEN 0 0 * 7 * 0 ${tail}`,
    'u_seq ESTAB 0 0 @x y\\n',
    `Netid State z 102 * 103 ${tail} `,
    'u_str ESTAB 0 0 /old/ss 1 * 2 <->',
    `\t ${tail}`,
    '',
  ].join('\n');
  const { stdout } = spawnSync('sh', ['-c', `${body} nameless`], {
    input: Buffer.from(text),
    env: { ...process.env, LC_ALL: 'C' },
  });
  let ours = '';
  const names = new UnixNames((line) => {
    ours += line;
  });
  names.push(Buffer.from(text));
  names.end();
  expect(stdout.toString('latin1')).toBe(ours);
  expect(ours).toContain('u_str ESTAB 7      0  (left-out) (left-out) 5 (left-out) 100 * 101 skmem:');
  expect(ours).not.toMatch(/a b|old|Netid State z/);
});

/** Commands that the script needs, by docs/snapshot.md. */
const COMMANDS =
  'sh tar gzip cat ls grep sed find xargs cksum tr cut head wc sort mkdir mktemp rm mv date dirname sleep';

test('the script needs the documented commands, and no other', () => {
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  for (const name of COMMANDS.split(' ')) {
    const { stdout } = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
    symlinkSync(stdout.trim(), join(bin, name));
  }
  const script = join(dir, 'few.sh');
  const whole = readFileSync(join(dir, 'snapshot.sh'), 'utf8');
  writeFileSync(script, whole.replace(/ PATH="[^"]*"/, ` PATH=${bin}`));
  const file = join(dir, 'few.tar.gz');
  const run = spawnSync('sh', [script, '--tmpfs', file, '0'], { encoding: 'utf8' });
  expect(run.status).toBe(0);
  expect(run.stderr).not.toContain('not found');
  const { stdout } = spawnSync('tar', ['-tzf', file], { encoding: 'utf8' });
  // Without ss and nsenter.
  expect(stdout).toMatch(/sample-2\/netns-\d+\/net\/tcp\n/);
  expect(stdout).toContain('sample-2/memory\n');
  const { stdout: list } = spawnSync('tar', ['-xzOf', file, 'kdump-mem-snapshot/files-in-memory'], {
    encoding: 'utf8',
  });
  expect(list).toMatch(/^missing sizes of files: stat is not available\n(?:missing .*\n)*end 0\n$/);
});

test('the script lists files of tmpfs by their visible mount, and reports what it leaves out', () => {
  const file = join(dir, 'mounts.tar.gz');
  const place = (name: string) => join(dir, `mount ${name}`);
  const names = ['covered', 'top', 'odd', 'inner', 'foreign', 'around'];
  for (const name of names) mkdirSync(place(name));
  const scene = `mount -t tmpfs none "$2" && head -c 300000 /dev/zero > "$2/below" && mount -t ramfs none "$2" &&
mount -t tmpfs none "$3" && mkdir "$3/a b" && head -c 200000 /dev/zero > "$3/a b/file %s" &&
mount -t tmpfs none "$4" && head -c 100000 /dev/zero > "$4/line
break" &&
unshare -m sh -c 'mount -t tmpfs none "$0" && head -c 90000 /dev/zero > "$0/file" &&
mount -t hugetlbfs none "$1" && mkdir "$1/below" && mount -t tmpfs none "$1/below" &&
head -c 80000 /dev/zero > "$1/below/file" && mount -t tmpfs none "$2" && mkdir "$2/pages" &&
mount -t hugetlbfs none "$2/pages" && head -c 70000 /dev/zero > "$2/file" && echo $$ && exec sleep 1000' "$5" "$6" "$7" | {
  read -r pid && sh "$0" --tmpfs "$1" 0
  status=$?
  kill -PIPE "$pid"
  exit $status
}`;
  const words = ['-m', 'sh', '-c', scene, join(dir, 'snapshot.sh'), file, ...names.map(place)];
  expect(spawnSync('unshare', words, { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  const { stdout: list } = spawnSync('tar', ['-xzOf', file, 'kdump-mem-snapshot/files-in-memory'], {
    encoding: 'utf8',
  });
  const own = list.split('\n').filter((line) => line.includes(dir));
  // A name with a line break is in the rest of its tmpfs. Below a file system that might not respond, as huge pages stand for
  // here, nothing is asked, and find does not walk a tmpfs around one.
  const line = (form: string, name: string) => expect.stringMatching(new RegExp(`^${form} ${place(name)}$`));
  const rest = (bytes: number, pid: string, name: string) => line(`tmpfs ${bytes} -${pid}u? \\d+`, name);
  expect(own).toEqual([
    line('200704 -u?', 'top/a b/file %s'),
    line('90112 -@\\d+u?', 'inner/file'),
    rest(0, '', 'top'),
    rest(102_400, '', 'odd'),
    rest(0, '@\\d+', 'inner'),
    rest(73_728, '@\\d+', 'around'),
  ]);
  expect(list).toContain('missing files of tmpfs with a line break in their names\n');
  const lines = list.trimEnd().split('\n');
  expect(lines.at(-1)).toBe(`end ${lines.filter((line) => /^(?:tmpfs |mapping )?\d/.test(line)).length}`);
});

test('the script reads mappings at normal priority: a reader that waits for a CPU has the mmap_lock', () => {
  const bin = join(dir, 'nice');
  mkdirSync(bin);
  const { stdout: grep } = spawnSync('sh', ['-c', 'command -v grep'], { encoding: 'utf8' });
  writeFileSync(
    join(bin, 'grep'),
    `#!/bin/sh
case "$*" in "-aH ^ "*/smaps_rollup*|"-aH ^ "*/maps*) nice >> ${bin}/of-mappings ;; *) nice >> ${bin}/of-others ;; esac
exec ${grep.trim()} "$@"
`,
    { mode: 0o755 },
  );
  const run = spawnSync('sh', [join(dir, 'snapshot.sh'), '--tmpfs', join(dir, 'nice.tar.gz'), '0'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
  });
  expect(run.status).toBe(0);
  const nices = (name: string) => new Set(readFileSync(join(bin, name), 'utf8').trim().split('\n'));
  expect(nices('of-mappings')).toEqual(new Set(['0']));
  expect(nices('of-others')).toEqual(new Set(['10']));
});

test('the script reports that it does not capture all cgroups', () => {
  const bin = join(dir, 'many');
  mkdirSync(bin);
  const { stdout: find } = spawnSync('sh', ['-c', 'command -v find'], { encoding: 'utf8' });
  writeFileSync(
    join(bin, 'find'),
    `#!/bin/sh
[ "$1" = /sys/fs/cgroup ] || exec ${find.trim()} "$@"
at=0
while [ $at -le 20000 ]; do echo /sys/fs/cgroup/none$at/memory.stat; at=$((at + 1)); done
`,
    { mode: 0o755 },
  );
  const file = join(dir, 'many.tar.gz');
  const run = spawnSync('sh', [join(dir, 'snapshot.sh'), '--tmpfs', file, '0'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
  });
  expect(run.status).toBe(0);
  const { stdout } = spawnSync('tar', ['-xzOf', file, 'kdump-mem-snapshot/errors'], { encoding: 'utf8' });
  expect(stdout).toContain('cgroups\tcut\tafter 20000 of them\n');
});

test('reports what it captured, and its impact', () => {
  const said = snapshotSchema.parse(JSON.parse(readFileSync(join(dir, 'snapshot.json'), 'utf8')));
  expect(said.sizeBytes).toBe(statSync(FILES.native).size);
  expect(said.priority.nice).toBeGreaterThanOrEqual(10);
  expect(said.leftOut).toEqual(['environment', 'arguments', 'unix-paths']);
  expect(said.processes).toBeGreaterThan(5);
  expect(said.namespaces).toBeGreaterThan(1);
});

test('contains no names on request', async () => {
  const file = join(dir, 'nobody.tar.gz');
  const { status } = await kdumpMem('snapshot', '--tmpfs', '--anonymize', '--interval', '0.1', '-o', file);
  expect(status).toBe(0);
  expect((await kdumpMem('snapshot', '--verify', file)).status).toBe(0);
  const { stdout } = spawnSync('tar', ['-xzOf', file], { maxBuffer: 2 ** 28 });
  expect(stdout.length).toBeGreaterThan(10_000);
  for (const name of ['31mx', 'b.sock', commandPath('kdump-mem')]) expect(stdout.includes(name)).toBe(false);
  const { report } = skcheckJson(['--stale', '--from', file]);
  const pids = readers.map(({ pid }) => pid);
  expect(report.sockets.filter(({ pid }) => pid !== null && pids.includes(pid)).length).toBe(3);
});

test('a process that exits while the script runs is not a missing state', async () => {
  const folder = mkdtempSync(join('/var/tmp', 'snapshot-exit-'));
  const child = spawn('sleep', ['300']);
  const { pid } = child;
  // Replaces ss: it kills the process between the lists of the second sample, and waits for its
  // exit.
  writeFileSync(
    join(folder, 'ss'),
    `#!/bin/sh
case "$*" in *-V*) exit 0 ;; esac
[ -d ${folder}/.snapshot.*/*/sample-2 ] || exit 0
kill -9 ${pid} 2>/dev/null
while [ -d /proc/${pid} ]; do sleep 0.1; done
`,
    { mode: 0o755 },
  );
  const { stdout: script } = await kdumpMem('snapshot', '--script');
  const path = join(folder, 'host.tar.gz');
  const shell = spawn('sh', ['-s', '--', path, '1'], {
    env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.stdin.end(script);
  await once(shell, 'exit');
  expect(child.signalCode).toBe('SIGKILL');
  const errors = execFileSync('tar', ['-xzOf', path, 'kdump-mem-snapshot/errors']).toString();
  expect(errors).toContain(`/proc/${pid}/status\tgone\tthe process exited\n`);
  const { stdout } = await kdumpMem('triage', '--from', path, '--json');
  const { unread } = JSON.parse(stdout) as TriageJson;
  expect(unread.filter(({ why }) => why.includes('/proc/PID/status'))).toEqual([]);
  rmSync(folder, { recursive: true });
});
