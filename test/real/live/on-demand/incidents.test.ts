import { inspect } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { jsonInGuest, testGuest } from '../../../support/guest.js';

type TriageJson = ReturnType<typeof triageSchema.parse>;

/** More than 5 % of the guest's memory, and than the smallest amount that is reported. */
const BYTES = 70 * 2 ** 20;

type Figures = TriageJson['findings'][number]['figures'];

/**
 * The kind of incident, the code of the finding that names it, the figure with the amount, and the
 * owner.
 */
type Incident = readonly [
  kind: string,
  amount: number,
  code: string,
  figure: string,
  isOwn?: (figures: Figures) => boolean,
];
const INCIDENTS: readonly Incident[] = [
  ['tcp', BYTES, 'queued-data-of-process', 'payloadBytes'],
  ['tcp-small', BYTES, 'queued-data-of-process', 'payloadBytes'],
  ['backlog', 128, 'unread-sockets', 'unreadBytes'],
  ['udp', BYTES, 'queued-data', 'pinnedBytes'],
  ['unix', BYTES, 'queued-data-of-process', 'payloadBytes'],
  ['unix-dgram', BYTES, 'queued-data-of-process', 'payloadBytes'],
  ['ring', BYTES, 'queued-data', 'pinnedBytes'],
  ['pipes', BYTES, 'pipes', 'mostBytes'],
  ['memfd', BYTES, 'shared-memory', 'bytes'],
  ['deleted', BYTES, 'shared-memory', 'bytes'],
  ['tables', BYTES, 'page-tables', 'mostBytes'],
  ['bpf', BYTES, 'vmalloc', 'mapBytes'],
  ['threads', 4500, 'kernel-stacks', 'threads'],
  ['zombies', 120, 'zombies', 'zombies'],
  ['vforks', 12, 'blocked-tasks', 'tasks'],
  ['fds', 1000, 'limit-near', 'used'],
  ['tmpfs', BYTES, 'shared-memory', 'bytes', ({ name }) => String(name).includes('hoard')],
  ['keys', 190, 'limit-near', 'used', ({ limit }) => limit === 'keys of uid 12345'],
  ['inotify', 121, 'limit-near', 'used', ({ mostComm }) => mostComm === 'incident'],
];

/** Growth after a snapshot: the category, and its owner if one is named. */
const GROWTHS = [
  ['anon', 'anonymous', { comm: 'incident' }],
  ['sysv', 'shared', { comm: 'incident' }],
  ['objects', 'slab-unreclaimable', { cache: expect.stringMatching(/^(msg_msg|kmalloc(-cg)?)-4k$/) }],
] as const;
const MIB = 2 ** 20;

/**
 * From kernel memory; each program also runs on this machine, from /proc:
 * test/real/triage/host/incidents.test.ts.
 */
describe.each(['6.1', 'newest'] as const)('incidents in a guest of %s', (kernel) => {
  const guest = testGuest(kernel);
  beforeAll(async () => {
    // Each answer takes half a minute on a busy machine.
    await guest.boot({ kdumpMem: true, tools: ['incident'] });
    await guest.run('mkdir -p /dev/shm; mount -t tmpfs none /dev/shm; ip link set lo up');
  });

  const triaged = async (): Promise<TriageJson> => triageSchema.parse(await jsonInGuest(guest, 'triage --live'));
  const severe = ({ findings }: TriageJson) =>
    findings.filter(({ severity }) => severity !== 'note').map(({ code }) => code);

  test('no findings before the incidents', async () => {
    expect(severe(await triaged())).toEqual([]);
  });

  /** Runs the program during a query; returns its amount and the answer. */
  const during = async <Answer>(
    words: string,
    query: () => Promise<Answer>,
    enter = '',
  ): Promise<{ made: number; answer: Answer }> => {
    const { output } = await guest.run(
      `rm -f /tmp/made; (sh -c '${enter} exec setsid incident ${words}' > /tmp/made 2>&1 &)
       for i in $(seq 300); do [ -s /tmp/made ] && break; usleep 100000; done; cat /tmp/made`,
    );
    const made = Number(/^ready (\d+)$/m.exec(output.toString())?.[1]);
    expect(made, output.toString()).toBeGreaterThan(0);
    const answer = await query();
    await guest.run('killall -9 incident; rm -f /dev/shm/hoard; usleep 300000');
    return { made, answer };
  };
  const isNear = (found: unknown, made: number) =>
    expect(Math.abs(Number(found) - made) / made).toBeLessThanOrEqual(0.05);

  test.each(INCIDENTS)('%s: owner and amount', async (...incident) => {
    const [kind, amount, code, figure, isOwn] = incident as unknown as Incident;
    const { made, answer } = await during(`${kind} ${amount} /dev/shm/hoard`, triaged);
    const isIncident = isOwn ?? (({ comm }: Figures) => comm === 'incident');
    const own = answer.findings.filter(({ code: of, figures }) => of === code && isIncident(figures));
    expect(own, inspect(answer.findings, { depth: 4 })).toHaveLength(1);
    isNear(own[0]?.figures[figure], made);
    // In so small a guest, that much also reaches the limits of TCP and UDP.
    const others = answer.findings.filter(
      ({ code: of, severity, figures }) =>
        severity !== 'note' &&
        figures.comm !== 'incident' &&
        !(of === code && isIncident(figures)) &&
        figures.limit !== 'tcp_mem' &&
        figures.limit !== 'udp_mem',
    );
    expect(others).toEqual([]);
  });

  test('no findings after the incidents', async () => {
    expect(severe(await triaged())).toEqual([]);
  });

  const found = (answer: { findings: TriageJson['findings'] }, code: string) =>
    answer.findings.filter((each) => each.code === code).map(({ figures }) => figures);

  test('huge pages that no process uses', async () => {
    const { output } = await guest.run('echo 60 > /proc/sys/vm/nr_hugepages; cat /proc/sys/vm/nr_hugepages');
    const pages = Number(output.toString());
    expect(pages).toBeGreaterThan(50);
    const answer = await triaged();
    await guest.run('echo 0 > /proc/sys/vm/nr_hugepages');
    expect(found(answer, 'hugetlb-unused')).toMatchObject([{ bytes: pages * 2 * MIB, pages }]);
  });

  describe('since a snapshot', () => {
    const since = async () => triageSchema.parse(await jsonInGuest(guest, 'triage --baseline /tmp/old.tar.gz'));
    const snapshot = () => guest.run('kdump-mem snapshot -o /tmp/old.tar.gz --force --tmpfs');

    test.each(GROWTHS)('%s grows: category, owner and amount', async (kind, category, owner) => {
      await snapshot();
      const { made, answer } = await during(`${kind} ${BYTES}`, since);
      const growth = found(answer, 'memory-growth').find((each) => each.category === category);
      expect(growth).toMatchObject(owner);
      isNear('comm' in owner ? growth?.ownerBytes : growth?.grownBytes, made);
    });
  });

  describe('a cgroup', () => {
    // Of the new shell: $$ of a subshell is the pid of the guest's shell, and all that it starts.
    const enter = 'echo $$ > /sys/fs/cgroup/hog/cgroup.procs;';
    beforeAll(async () => {
      await guest.run(
        `mkdir -p /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
         echo +memory > /sys/fs/cgroup/cgroup.subtree_control; mkdir /sys/fs/cgroup/hog
         echo 64M > /sys/fs/cgroup/hog/memory.max`,
      );
    });

    test('is near its limit', async () => {
      const { made, answer } = await during(`anon ${59 * MIB}`, triaged, enter);
      const [near] = found(answer, 'cgroup-near-limit');
      expect(near).toMatchObject({ cgroup: '/hog', limitBytes: 64 * MIB, comm: 'incident' });
      isNear(near?.usedBytes, made);
      expect(answer.findings.filter(({ severity }) => severity !== 'note')).toHaveLength(1);
    });

    // Last: the log keeps it.
    test('reaches its limit', async () => {
      await guest.run(`sh -c '${enter} exec incident anon ${128 * MIB}' > /dev/null 2>&1; true`);
      const answer = await triaged();
      expect(found(answer, 'oom-kill')).toMatchObject([
        { scope: 'cgroup', cgroup: '/hog', limitBytes: 64 * MIB, comm: 'incident' },
      ]);
      const [{ victimAnonBytes } = {}] = found(answer, 'oom-kill');
      isNear(victimAnonBytes, 63 * MIB);
    });
  });
});
