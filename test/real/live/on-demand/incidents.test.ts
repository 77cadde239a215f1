import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bootGuest, type Guest } from '../../../../scripts/lab-parts/guest.mjs';
import { guestTool } from '../../../../scripts/lab-parts/guest-program.mjs';
import { type TriageJson, triageSchema } from '../../../../src/answers/triage/schema.js';
import { jsonInGuest, kdumpMemInGuest, MEMORY_MIB } from '../live-guest.js';

/** More than 5 % of the guest's memory, and than the smallest amount that is reported. */
const BYTES = 70 * 2 ** 20;

/** What the program makes, the code of the finding that names it, and the figure that has the amount. */
const INCIDENTS = [
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
  ['sysv', BYTES, 'shared-memory', 'bytes'],
  ['tables', BYTES, 'page-tables', 'mostBytes'],
  ['bpf', BYTES, 'vmalloc', 'mapBytes'],
  ['threads', 4500, 'kernel-stacks', 'threads'],
  ['zombies', 120, 'zombies', 'zombies'],
  ['vforks', 12, 'blocked-tasks', 'tasks'],
  ['fds', 1000, 'limit-near', 'used'],
] as const;

/** By kernel memory; each program also runs on this machine, by /proc: test/real/triage/host/incidents.test.ts. */
describe.each(['6.1', 'newest'] as const)('incidents in a guest of %s', (kernel) => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await bootGuest({
      kernel,
      memoryMiB: MEMORY_MIB,
      files: [...kdumpMemInGuest(kernel), guestTool('incident', kernel)],
    });
    await guest.run('mkdir -p /dev/shm; mount -t tmpfs none /dev/shm; ip link set lo up');
  });
  afterAll(() => guest?.kill());

  const triaged = async (): Promise<TriageJson> =>
    triageSchema.parse(await jsonInGuest(guest, 'triage --live', 240_000));
  const severe = ({ findings }: TriageJson) =>
    findings.filter(({ severity }) => severity !== 'note').map(({ code }) => code);

  test('before, nothing is found', async () => {
    expect(severe(await triaged())).toEqual([]);
  });

  test.each(INCIDENTS)('%s: owner and amount', async (kind, amount, code, figure) => {
    const { output } = await guest.run(
      `rm -f /tmp/made; (setsid incident ${kind} ${amount} /dev/shm/hoard > /tmp/made 2>&1 &)
       for i in $(seq 300); do [ -s /tmp/made ] && break; usleep 100000; done; cat /tmp/made`,
    );
    const made = Number(/^ready (\d+)$/m.exec(output.toString())?.[1]);
    expect(made, output.toString()).toBeGreaterThan(0);
    const answer = await triaged();
    await guest.run('killall -9 incident; usleep 300000');
    const own = answer.findings.filter(
      ({ code: of, figures }) => of === code && figures.comm === 'incident',
    );
    expect(own, JSON.stringify(answer.findings)).toHaveLength(1);
    const found = Number(own[0]?.figures[figure]);
    expect(Math.abs(found - made) / made).toBeLessThanOrEqual(0.05);
    // In so small a guest, that much also reaches the limits of TCP and UDP.
    const others = answer.findings.filter(
      ({ severity, figures: { comm, limit } }) =>
        severity !== 'note' && comm !== 'incident' && limit !== 'tcp_mem' && limit !== 'udp_mem',
    );
    expect(others).toEqual([]);
  });

  test('afterwards, nothing is found', async () => {
    expect(severe(await triaged())).toEqual([]);
  });
});
