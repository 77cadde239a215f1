import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, totalmem } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guestTool } from '../../../../scripts/lab-parts/guest-program.mjs';
import { diffSchema } from '../../../../src/contracts/diff.js';
import { memorySchema } from '../../../../src/contracts/memory.js';
import type { TriageJson } from '../../../../src/contracts/triage.js';
import { kdumpMem, kdumpMemJson } from '../../../support/cli.js';
import { isUnreadForLong } from '../../skcheck/queues.js';
import { removeCgroup, until } from '../../skcheck/stage.js';
import { severeCodes } from './severe.js';

const hasKcore = existsSync('/proc/kcore');
/** Above the 5 % of memory from which the owner of memory is a finding. */
const LARGE = Math.ceil((totalmem() * 0.056) / 2 ** 20) * 2 ** 20;
const HUGE = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';
const V1 = '/sys/fs/cgroup/memory';
const CGROUPS = existsSync(V1) ? V1 : '/sys/fs/cgroup';

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

type Found = TriageJson['findings'][number];

interface Incident {
  readonly name: string;
  readonly kind: string;
  readonly amount: number;
  readonly path?: string;
  /** Finding that names the owner. */
  readonly code: string;
  /** The figure with the amount, and its bounds if it is an estimate. */
  readonly figure: string;
  readonly bounds?: readonly [string, string];
  /** Identifies findings whose owner is not a process. */
  readonly isOwn?: (figures: Found['figures']) => boolean;
}

const INCIDENTS: readonly Incident[] = [
  { name: 'TCP streams that are not read', kind: 'tcp', amount: 200e6, ...small('unread-sockets') },
  { name: 'many small ones', kind: 'tcp-small', amount: 1e8, ...small('unread-sockets') },
  { name: 'a listener that does not accept', kind: 'backlog', amount: 128, ...small('unread-sockets') },
  { name: 'a UDP socket', kind: 'udp', amount: 300e6, ...pinned() },
  { name: 'unix streams', kind: 'unix', amount: LARGE, ...pinned() },
  { name: 'unix datagrams', kind: 'unix-dgram', amount: LARGE, ...pinned() },
  { name: 'a packet ring', kind: 'ring', amount: LARGE, ...pinned() },
  { name: 'full pipes', kind: 'pipes', amount: LARGE, code: 'pipes', figure: 'mostBytes' },
  { name: 'a memfd', kind: 'memfd', amount: LARGE, code: 'shared-memory', figure: 'bytes' },
  {
    name: 'a deleted file in tmpfs',
    kind: 'deleted',
    amount: LARGE,
    path: `/dev/shm/incident-${process.pid}`,
    code: 'shared-memory',
    figure: 'bytes',
  },
  {
    name: 'a file in tmpfs that no process has open',
    kind: 'tmpfs',
    amount: LARGE,
    path: `/dev/shm/kept-${process.pid}`,
    code: 'shared-memory',
    figure: 'bytes',
    isOwn: ({ name, pid }) => name === `/dev/shm/kept-${process.pid}` && pid === null,
  },
  { name: 'page tables', kind: 'tables', amount: LARGE, code: 'page-tables', figure: 'mostBytes' },
  { name: 'BPF maps', kind: 'bpf', amount: LARGE, code: 'vmalloc', figure: 'mapBytes' },
  { name: 'zombies', kind: 'zombies', amount: 120, code: 'zombies', figure: 'zombies' },
  { name: 'tasks in state D', kind: 'vforks', amount: 60, code: 'blocked-tasks', figure: 'tasks' },
  {
    name: 'keys of a user',
    kind: 'keys',
    amount: 190,
    code: 'limit-near',
    figure: 'used',
    isOwn: ({ limit }) => limit === 'keys of uid 12345',
  },
  { name: 'open files', kind: 'fds', amount: 1000, code: 'limit-near', figure: 'used' },
  {
    name: 'inotify instances',
    kind: 'inotify',
    amount: Math.ceil(0.94 * Number(readFileSync('/proc/sys/fs/inotify/max_user_instances'))),
    code: 'limit-near',
    figure: 'used',
  },
];

function small(code: string) {
  return { code, figure: 'pinnedBytes', bounds: ['unreadBytes', 'peersBytes'] } as const;
}
function pinned() {
  const bounds = ['leastBytes', 'mostBytes'] as const;
  return { code: 'queued-data-of-process', figure: 'pinnedBytes', bounds } as const;
}

async function triaged(): Promise<TriageJson> {
  const { stdout } = await kdumpMem('triage', '--json');
  return JSON.parse(stdout) as TriageJson;
}

/** Without zombies: init may reap those of a killed program late. */
const severe = (answer: TriageJson) => severeCodes(answer).filter((code) => code !== 'zombies');

/** Runs the program in a separate process group, in a cgroup if given, until `use` has finished. */
async function during(
  args: readonly string[],
  use: (pid: number, made: number) => Promise<void>,
  cgroup?: string,
): Promise<void> {
  const { from } = guestTool('incident', 'newest');
  const enter = cgroup === undefined ? '' : `echo $$ > ${cgroup}/cgroup.procs; `;
  const child = spawn('sh', ['-c', `${enter}exec "$0" "$@"`, from ?? '', ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { pid = 0 } = child;
  try {
    const [line] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [Buffer | number];
    const made = /^ready (\d+)$/m.exec(String(line))?.[1];
    if (made === undefined) throw new Error(`incident ${args.join(' ')}: ${line}`);
    await until(isUnreadForLong);
    await use(pid, Number(made));
  } finally {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {}
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    if (args[2] !== undefined) rmSync(args[2], { force: true });
  }
}

/** Bytes that a scene may hold after its process exited: the kernel frees its maps later. */
async function bytesIn(...categories: readonly string[]): Promise<number> {
  const { memory } = await kdumpMemJson(memorySchema, 'memory', '--live', '--source', 'counters');
  const rows = memory.children.flatMap(({ children }) => children);
  return rows.filter(({ category }) => categories.includes(category)).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Growth between two snapshots: program, amount, category and owner. */
const GROWTHS = [
  ['anon', LARGE, 'anonymous', 'incident'],
  ['sysv', LARGE, 'shared', 'incident'],
  ['tables', LARGE, 'page-tables', 'incident'],
  ['objects', LARGE / 4, 'slab-unreclaimable', /^(msg_msg|kmalloc(-cg)?)-4k$/],
  ['bpf', LARGE, 'vmalloc', null],
  ['pipes', LARGE, 'unattributed', null],
] as const;

const isOf = ({ figures }: Found, pid: number) =>
  figures.pid === pid || figures.mostPid === pid || figures.comm === 'incident';

describe.skipIf(hasKcore || process.geteuid?.() !== 0)(
  'incidents on this machine (needs root, and no /proc/kcore)',
  () => {
    let before: TriageJson;
    // A larger process than every memory incident, and page cache: neither is a cause.
    const held = Math.ceil(1.3 * LARGE);
    const innocent = spawn('perl', [
      '-e',
      `$0 = 'innocent'; my $held = ''; vec($held, ${held}, 8) = 1; $| = 1; print "ready\\n"; sleep 3600`,
    ]);
    const read = join(mkdtempSync(join(tmpdir(), 'incidents-')), 'read');
    beforeAll(async () => {
      await Promise.race([once(innocent.stdout, 'data'), once(innocent, 'exit')]);
      writeFileSync(read, Buffer.alloc(512 * 2 ** 20));
      before = await triaged();
      expect(innocent.exitCode).toBeNull();
    });
    afterAll(async () => {
      rmSync(dirname(read), { recursive: true });
      if (innocent.kill('SIGKILL')) await once(innocent, 'exit');
    });

    test.each(INCIDENTS)('$name: owner and amount', async (incident) => {
      const { kind, amount, path, code, figure, bounds, isOwn } = incident;
      const heldBefore = code === 'vmalloc' ? await bytesIn('vmalloc') : undefined;
      await during([kind, `${amount}`, ...(path ? [path] : [])], async (pid, made) => {
        const answer = await triaged();
        const own = answer.findings.filter((each) => each.code === code && (isOwn?.(each.figures) ?? isOf(each, pid)));
        expect(own, JSON.stringify(answer.findings, null, 1)).toHaveLength(1);
        const figures = own[0]?.figures ?? {};
        if (!isOwn) expect(figures.mostComm ?? figures.comm).toBe('incident');
        const found = Number(figures[figure]);
        if (code === 'unread-sockets') {
          const total = found + Number(figures.peersBytes);
          expect(total).toBeGreaterThanOrEqual(0.95 * made);
          expect(total).toBeLessThanOrEqual(2 * made);
        } else if (bounds) {
          const [least, most] = bounds.map((name) => figures[name]);
          // Small datagrams may pin two and a half times their payload.
          expect(Number(least)).toBeLessThanOrEqual(2.5 * made);
          if (most !== null) expect(Number(most)).toBeGreaterThanOrEqual(made);
          expect(found).toBeGreaterThanOrEqual(0.95 * made);
          expect(found).toBeLessThanOrEqual(2.5 * made);
        } else expect(Math.abs(found - made)).toBeLessThanOrEqual(0.05 * made);
        const others = new Set(
          answer.findings.filter((each) => !own.includes(each) && !isOf(each, pid)).map((f) => f.code),
        );
        for (const each of severe(before)) others.delete(each);
        expect(severe(answer).filter((each) => others.has(each))).toEqual([]);
      });
      // The next scene begins without maps of this one.
      if (heldBefore !== undefined) while ((await bytesIn('vmalloc')) > heldBefore + amount / 100);
    });

    describe('growth between two snapshots', () => {
      const folder = mkdtempSync(join(tmpdir(), 'growth-'));
      const [before, after] = ['before', 'after'].map((name) => join(folder, `${name}.tar.gz`)) as [string, string];
      afterAll(() => rmSync(folder, { recursive: true }));
      const snapshot = (file: string) => kdumpMem('snapshot', '-o', file, '--force', '--interval', '0.1');

      test('since the first sample of a store of watch', async () => {
        const store = join(folder, 'watch.ndjson');
        const watchRun = await kdumpMem('watch', '--store', store, '--interval', '1', '--for', '2');
        expect(watchRun.status).toBe(0);
        await during(['anon', `${LARGE}`], async (pid, made) => {
          const { stdout } = await kdumpMem('triage', '--baseline', store, '--json');
          const { findings, checked, unread } = JSON.parse(stdout) as TriageJson;
          expect(checked, JSON.stringify(unread)).toContain('baseline');
          const figures = findings.find(
            ({ code, figures }) => code === 'memory-growth' && figures.category === 'anonymous',
          )?.figures;
          expect(figures).toMatchObject({ pid, comm: 'incident' });
          expect(Math.abs(Number(figures?.ownerBytes) - made)).toBeLessThanOrEqual(0.05 * made);
        });
      });

      test.each(GROWTHS)('%s: category, owner and amount, to 5 %%', async (kind, amount, category, owner) => {
        const heldBefore = await bytesIn('vmalloc', 'unattributed');
        expect((await snapshot(before)).status).toBe(0);
        await during([kind, `${amount}`], async (pid, made) => {
          expect((await snapshot(after)).status).toBe(0);
          const answers = await Promise.all([
            kdumpMem('triage', '--baseline', before, '--json'),
            kdumpMem('triage', '--from', after, '--baseline', before, '--json'),
          ]);
          for (const [index, { stdout }] of answers.entries()) {
            const { findings, checked, unread } = JSON.parse(stdout) as TriageJson;
            expect(checked, JSON.stringify(unread)).toContain('baseline');
            const growth = findings.find(
              ({ code, figures }) => code === 'memory-growth' && figures.category === category,
            );
            const figures: Found['figures'] = growth?.figures ?? {};
            const isProcess = owner === 'incident';
            const { ownerBytes, mostBytes, grownBytes } = figures;
            const inPipes = kind === 'pipes';
            const found = Number(isProcess ? ownerBytes : inPipes && index === 0 ? mostBytes : grownBytes);
            // What no counter includes is that of the whole machine, and a snapshot does not contain pipes.
            if (inPipes && index === 1) expect(found).toBeGreaterThan(made / 2);
            else expect(Math.abs(found - made), JSON.stringify(figures)).toBeLessThanOrEqual(0.05 * made);
            if (isProcess) expect(figures).toMatchObject({ pid, comm: 'incident' });
            else if (owner) expect(String(figures.cache)).toMatch(owner);
            // A snapshot does not contain descriptors.
            if (kind === 'pipes' && index === 0)
              expect(findings.filter((one) => one.code === 'pipes' && isOf(one, pid))).toHaveLength(1);
          }
          const { stdout } = await kdumpMem('diff', before, after, '--json');
          const { processes } = diffSchema.parse(JSON.parse(stdout));
          const own = processes?.items.find((one) => one.pid === pid);
          expect(own).toMatchObject({ comm: 'incident', status: 'new' });
        });
        // The next scene begins without pages of this one.
        while ((await bytesIn('vmalloc', 'unattributed')) > heldBefore + amount / 100);
      });
    });

    test.skipIf(!isWritable(CGROUPS))('a cgroup near its limit (needs writable cgroups)', async () => {
      const cgroup = mkdtempSync(`${CGROUPS}/kdump-mem-incident-`);
      try {
        const limit = CGROUPS === V1 ? 'limit_in_bytes' : 'max';
        writeFileSync(`${cgroup}/memory.${limit}`, `${64 * 2 ** 20}`);
        await during(
          ['anon', `${59 * 2 ** 20}`],
          async (_pid, made) => {
            const { findings } = await triaged();
            const near = findings.find(
              ({ code, figures }) => code === 'cgroup-near-limit' && String(figures.cgroup).endsWith(basename(cgroup)),
            );
            expect(near?.figures).toMatchObject({ limitBytes: 64 * 2 ** 20 });
            expect(Math.abs(Number(near?.figures.usedBytes) - made)).toBeLessThan(0.05 * made);
          },
          cgroup,
        );
      } finally {
        await removeCgroup(cgroup);
      }
    });

    test('huge pages that no process uses', async () => {
      const pages = Math.ceil((totalmem() * 0.11) / 2 ** 21);
      const earlier = readFileSync(HUGE, 'utf8');
      try {
        writeFileSync(HUGE, `${pages}`);
        const reserved = Number(readFileSync(HUGE, 'utf8'));
        const { findings } = await triaged();
        const unused = findings.find(({ code }) => code === 'hugetlb-unused');
        expect(unused?.figures).toMatchObject({ bytes: reserved * 2 ** 21, pages: reserved });
      } finally {
        writeFileSync(HUGE, earlier);
      }
    });

    test('afterwards no finding remains', async () => {
      const after = await triaged();
      expect(after.findings.filter((each) => isOf(each, -1))).toEqual([]);
      expect(severe(after)).toEqual(severe(before));
    });
  },
);
