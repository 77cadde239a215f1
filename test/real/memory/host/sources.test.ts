import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type CategoryJson, type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { commandPath } from '../../../support/cli.js';

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
/** Root without any capability cannot see kernel addresses. */
const POWERLESS = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--'];

/** Runs `kdump-mem memory --live` under a program that removes capabilities or files. */
function memory(wrapper: readonly string[], ...args: string[]) {
  const [program = '', ...words] = [
    ...wrapper,
    process.execPath,
    commandPath('kdump-mem'),
    'memory',
    '--live',
    ...args,
  ];
  const env = { ...process.env, HOME: '/nonexistent' };
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8', env, cwd: '/', maxBuffer: 2 ** 26 });
  return { status, stdout, stderr };
}

function answerOf(wrapper: readonly string[], ...args: string[]): MemoryJson {
  const { status, stdout, stderr } = memory(wrapper, '--json', ...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const answer = memorySchema.parse(JSON.parse(stdout));
  checkSums(answer.memory);
  return answer;
}

function checkSums({ bytes, children }: CategoryJson): void {
  if (children.length === 0) return;
  expect(children.reduce((sum, child) => sum + child.bytes, 0)).toBe(bytes);
  children.forEach(checkSums);
}

/**
 * Replaces these files of /proc before the program starts: values are paths, '' is an empty file.
 */
const masked = (files: Readonly<Record<string, string>>) => [
  'unshare',
  '--mount',
  '--propagation',
  'private',
  'sh',
  '-c',
  `mkdir -p /tmp/m$$ && mount -t tmpfs none /tmp/m$$ && ${Object.entries(files)
    .map(([name, text], index) => {
      const own = `/tmp/m$$/${index}`;
      return `printf '%s' '${text}' > ${own} && mount --bind ${own} /proc/${name}`;
    })
    .join(' && ')} && exec "$@"`,
  'sh',
];

const category = (answer: MemoryJson, name: string) =>
  answer.memory.children.flatMap(({ children }) => children).find((one) => one.category === name);

const kcore = existsSync('/proc/kcore');
const KCORE = kcore
  ? '/proc/kcore: permission denied'
  : '/proc/kcore: not found (the kernel lacks it, or a container hides it)';

describe('socket queues', () => {
  /**
   * An unread TCP stream in its own network namespace; and the queued bytes in /proc/net/tcp: once the window is closed, none of
   * them is in both queues.
   */
  const SCENE = join(import.meta.dirname, '../../triage/host/scene.pl');
  const inNamespace = (...command: readonly string[]) => {
    const script = `ip link set lo up && { perl ${SCENE} 0 4096 > /tmp/ready.$$ & } && pid=$! && until [ -s /tmp/ready.$$ ] && ss -Hton | grep -q persist; do sleep 0.1; done
rm /tmp/ready.$$; cat /proc/net/tcp >&2; "$@"; status=$?; kill $pid; exit $status`;
    const words = ['--net', 'sh', '-c', script, 'sh', ...command, process.execPath];
    const args = [commandPath('kdump-mem'), 'memory', '--live', '--json'];
    const { stdout, stderr } = spawnSync('unshare', [...words, ...args], { encoding: 'utf8', maxBuffer: 2 ** 26 });
    const queued = [...stderr.matchAll(/ ([0-9A-F]{8}):([0-9A-F]{8}) \d\d:/g)].reduce(
      (sum, [, sent, received]) => sum + parseInt(sent ?? '', 16) + parseInt(received ?? '', 16),
      0,
    );
    return { queued, estimate: memorySchema.parse(JSON.parse(stdout)).socketEstimate };
  };

  test('are lower bounds if other namespaces are not readable', () => {
    const { queued, estimate } = inNamespace(...NOBODY);
    expect(queued).toBeGreaterThan(2 ** 20);
    expect(estimate).toMatchObject({ likelyBytes: null, mostBytes: null });
    expect(estimate?.sockets).toBeGreaterThanOrEqual(2);
    expect(estimate?.unread.map(({ why }) => why).join()).toContain('other network namespaces are not readable');
    expect(estimate?.leastBytes).toBeGreaterThanOrEqual(queued);
    expect(estimate?.leastBytes).toBeLessThan(1.5 * queued);
  });

  test('are estimated for root in all namespaces, if page frames do not show them', () => {
    const { queued, estimate } = inNamespace();
    if (kcore) {
      expect(estimate).toBeNull();
      return;
    }
    expect(estimate?.unread).toEqual([]);
    expect(estimate?.leastBytes).toBeGreaterThanOrEqual(queued);
    expect(estimate?.likelyBytes).toBeGreaterThanOrEqual(estimate?.leastBytes ?? Number.NaN);
  });
});

describe('permissions', () => {
  test('an unprivileged user gets counters, with the reason', () => {
    const answer = answerOf(NOBODY);
    expect(answer).toMatchObject({ source: 'counters', complete: false });
    expect(answer.unavailable).toEqual([
      { source: 'kcore', code: kcore ? 'permission' : 'no-live-memory', why: KCORE },
      { source: 'pageflags', code: 'denied', why: '/proc/kpageflags: permission denied' },
    ]);
  });

  test('root without capabilities cannot see kernel addresses', () => {
    const answer = answerOf(POWERLESS, ...(kcore ? ['--source', 'counters'] : []));
    expect(answer.source).toBe('counters');
    const refused = memory(POWERLESS, '--source', 'pageflags');
    expect(refused).toMatchObject({ status: 3, stdout: '' });
    expect(refused.stderr).toMatch(/^kdump-mem: \/proc\/\w+ (shows no addresses|permission denied)\. .*\n$/);
  });

  test.each([
    [['--source', 'pageflags'], '/proc/kpageflags: permission denied'],
    [['--caches'], '--caches: not available (/proc/slabinfo: permission denied)'],
    [['--vmalloc'], '--vmalloc: not available (/proc/vmallocinfo: permission denied)'],
    [['--files'], KCORE],
  ])('data that an unprivileged user may not read is refused in one line with status 3: %j', (args, message) => {
    const { status, stdout, stderr } = memory(NOBODY, ...args);
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
    expect(stderr.startsWith(`kdump-mem: ${message}. `)).toBe(true);
    expect(stderr.split('\n')).toHaveLength(2);
  });

  test.each([['--as', 'free'], ['--as', 'meminfo'], ['--nodes'], ['--prometheus'], ['-v']])(
    'commands that need no permission work for an unprivileged user: %s %s',
    (...args) => {
      const run = memory(NOBODY, ...args.filter((word) => word !== undefined));
      const stderr = run.stderr.replace(/^kdump-mem: warning: up to [^\n]+no known owner[^\n]+\n/, '');
      expect({ status: run.status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(run.stdout.length).toBeGreaterThan(100);
    },
  );
});

describe('a /proc that lacks files', () => {
  const bare = 'MemTotal:  1000 kB\nMemFree:  400 kB\nCached:  100 kB\nShmem:  40 kB\n';

  test('in a sandbox with /proc/meminfo only', () => {
    const wrapper = masked({ meminfo: bare, zoneinfo: '', vmstat: '', buddyinfo: '' });
    const answer = answerOf(wrapper, '--source', 'counters');
    expect(answer.memory.bytes).toBe(1000 * 1024);
    expect(category(answer, 'page-cache')?.bytes).toBe(60 * 1024);
    expect(category(answer, 'reserved-other')).toMatchObject({ bytes: 0, complete: false });
    expect(category(answer, 'free-cpu-lists')?.why).toContain('malformed /proc/zoneinfo');
    const nodes = memory(wrapper, '--source', 'counters', '--nodes');
    expect(nodes).toMatchObject({ status: 3, stdout: '' });
    expect(nodes.stderr).toMatch(/^kdump-mem: --nodes: not available \(\/proc\/zoneinfo .*\n$/);
  });

  test('reports text in place of a number, not zero', () => {
    const text = `${bare}AnonPages:  lots kB\nSlab:  1 kB\n`;
    const answer = answerOf(masked({ meminfo: text, zoneinfo: '' }), '--source', 'counters');
    expect(category(answer, 'anonymous')).toMatchObject({
      counterBytes: null,
      complete: false,
      why: '/proc/meminfo says “lots kB” of AnonPages',
    });
    expect(category(answer, 'unattributed')).toMatchObject({ bytes: 0, complete: false });
    expect(category(answer, 'missing-counters')?.why).toContain('lots kB');
  });

  test.each([
    [{ meminfo: '' }, '/proc/meminfo has no MemTotal'],
    [{ meminfo: 'MemTotal: much kB\n' }, '/proc/meminfo says “much kB” of MemTotal'],
  ])('missing required data is one line and status 3: %j', (files, message) => {
    const { status, stdout, stderr } = memory(masked(files), '--source', 'counters');
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
    expect(stderr.startsWith(`kdump-mem: ${message}`)).toBe(true);
    expect(stderr.split('\n')).toHaveLength(2);
  });

  test('an empty /proc/kpageflags is refused', () => {
    const wrapper = masked({ kpageflags: '' });
    const { status, stderr } = memory(wrapper, '--source', 'pageflags');
    expect(status).toBe(3);
    expect(stderr).toMatch(/^kdump-mem: \/proc\/kpageflags is empty\. .*\n$/);
  });
});

// With fewer than 20 Node itself does not start.
test.each([20, 21, 22, 23, 24, 26, 40])('with %d descriptors it answers, or reports what is missing', (count) => {
  const wrapper = ['sh', '-c', `ulimit -n ${count}; exec "$@"`, 'sh'];
  for (const source of ['pageflags', 'counters']) {
    const { status, stdout, stderr } = memory(wrapper, '--source', source, '--json');
    if (status === 0) {
      expect(memorySchema.parse(JSON.parse(stdout)).source).toBe(source);
      continue;
    }
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
    expect(stderr).toMatch(/^kdump-mem: [^\n]+ulimit -n[^\n]+\n$/);
  }
});

/**
 * A memfd of 80 MiB and a System V segment of 16 MiB, which no process maps. Exits when its stdin
 * ends.
 */
const SHARED = `
import ctypes, os, sys
fd = os.memfd_create('unmapped')
os.write(fd, b'x' * (80 << 20))
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(0, 16 << 20, 0o1600)
place = libc.shmat(segment, None, 0)
ctypes.memset(place, 1, 16 << 20)
libc.shmdt(ctypes.c_void_p(place))
print(segment, flush=True)
sys.stdin.read()
libc.shmctl(segment, 0, None)
`;

test.each(['pageflags', 'counters'] as const)(
  'shared memory that no process maps has its owners: %s',
  async (source) => {
    const python = spawn('/usr/bin/python3', ['-c', SHARED], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      const [line] = (await once(python.stdout, 'data')) as [Buffer];
      const { memory } = answerOf([], '--source', source);
      const shared = memory.children.flatMap(({ children }) => children).find(({ category }) => category === 'shared');
      const { pid } = python;
      expect(shared?.owners).toEqual(
        expect.arrayContaining([
          { kind: 'file', name: 'memfd:unmapped', pid, bytes: 80 * 2 ** 20 },
          { kind: 'segment', name: `SysV segment ${Number(line)}`, pid, bytes: 16 * 2 ** 20 },
        ]),
      );
      expect(shared?.bytes).toBeGreaterThanOrEqual(96 * 2 ** 20);
      if (source === 'pageflags') return;
      const { complete, warnings } = answerOf(NOBODY);
      expect({ complete, warnings }).toEqual({
        complete: false,
        warnings: [
          {
            code: 'unreadable',
            message: expect.stringMatching(
              /^up to [\d.]+ [MG]iB of shared memory has no known owner \(descriptors of \d+ processes: permission denied(?:; [^;]+)*\)$/,
            ),
          },
        ],
      });
    } finally {
      python.stdin.end();
      await once(python, 'exit');
    }
  },
);
