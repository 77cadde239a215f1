import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inGuest } from '../../../support/guest.js';
import { LeakGuest } from '../leak-guest.js';

const REFUSED = 3;

/** One line for people, with the problem and the object. */
const line = (words: RegExp) => new RegExp(`^kdump-mem: [^\\n]*${words.source}[^\\n]*\\n([^\\n]+\\n)?$`);

/** The line of `--methods` for tracing, which must match recording. */
async function listed({ guest }: LeakGuest): Promise<unknown> {
  const { output } = await inGuest(guest, 'leaks --methods --json');
  const { methods } = JSON.parse(output.toString()) as { methods: { method: string }[] };
  return methods.find(({ method }) => method === 'tracefs');
}

describe('leaks in a guest with problems', () => {
  let guest: LeakGuest;
  const runInGuest = async (command: string) => {
    const { status, output } = await inGuest(guest.guest, command);
    return { status, text: output.toString() };
  };

  beforeAll(async () => {
    guest = await LeakGuest.boot('6.1');
  });
  afterAll(() => guest?.end());

  test('does not mount tracefs, and reports how to', async () => {
    const { status, text } = await runInGuest('leaks --interval 3');
    expect([status, text]).toEqual([REFUSED, expect.stringMatching(line(/not mounted/))]);
    const { output } = await guest.guest.run('cat /proc/mounts');
    expect(output.toString()).not.toMatch(/tracefs/);
    expect(await listed(guest)).toMatchObject({ refusal: 'not-mounted' });
  });

  test('reports missing root rights', async () => {
    await guest.mount();
    const { status, output } = await guest.guest.run('su nobody -s /bin/sh -c "kdump-mem leaks --interval 3" 2>&1', {
      mayFail: true,
    });
    expect([status, output.toString()]).toEqual([REFUSED, expect.stringMatching(line(/root/))]);
    expect(await listed(guest)).toMatchObject({ refusal: null });
  });

  test('removes and reports instances of a killed run, but not of a running one', async () => {
    await guest.start('--interval 1h');
    await guest.signal('KILL');
    await guest.finish();
    const orphans = await guest.instances();
    expect(orphans.length).toBeGreaterThan(0);
    await guest.start('--interval 1h');
    const alive = (await guest.instances()).filter((name) => !orphans.includes(name));
    expect(alive.length).toBeGreaterThan(0);
    // The second runs in parallel to the first.
    const { status, text } = await runInGuest('leaks --interval 3 --windows 3 --sample 1/8');
    expect([status, text]).toEqual([0, expect.any(String)]);
    expect(await guest.instances()).toEqual(alive);
    await guest.signal('INT');
    const first = await guest.finish();
    expect(first.status).toBe(0);
    const [orphan = ''] = orphans;
    expect(`${first.stdout}${first.stderr}`).toContain(orphan);
    expect(await guest.instances()).toEqual([]);
  });

  test('a full disk is reported in one line, and no file or instance is left', async () => {
    await guest.guest.run(
      'mkdir /small; mount -t tmpfs -o size=64k none /small; dd if=/dev/zero of=/small/all bs=4k 2> /dev/null; true',
    );
    const command = 'leaks --interval 3 --windows 3 --sample 1/8 --pprof /small/profile > /dev/null';
    const { status, text } = await runInGuest(command);
    expect([status, text]).toEqual([REFUSED, expect.stringContaining('/small/profile')]);
    expect(await guest.instances()).toEqual([]);
  });

  test('with little memory, answers or reports why not, and leaves nothing behind', async () => {
    const eat = `m=$(awk '/MemAvailable/ { print int($2 / 1024) - 60 }' /proc/meminfo)
        mkdir -p /eaten; mount -t tmpfs -o size=\${m}m none /eaten; dd if=/dev/zero of=/eaten/all bs=1M 2> /dev/null; true`;
    await guest.guest.run(eat);
    const { status, text } = await runInGuest('leaks --interval 5 --windows 3 --sample 1/8');
    // 137: the kernel killed it because memory is short.
    expect([0, REFUSED, 137], text).toContain(status);
    await guest.guest.run('umount /eaten');
    if (status === 137) await runInGuest('leaks --interval 3 --windows 3 --sample 1/8');
    expect(await guest.instances()).toEqual([]);
  });
});

test('reports kernel lockdown', async () => {
  const guest = await LeakGuest.boot('6.12', { append: 'lsm=lockdown lockdown=confidentiality' });
  try {
    await guest.guest.run('mount -t tracefs none /sys/kernel/tracing');
    const { status, output } = await inGuest(guest.guest, 'leaks --interval 3');
    expect([status, output.toString()]).toEqual([REFUSED, expect.stringMatching(line(/lockdown/))]);
    expect(await listed(guest)).toMatchObject({ refusal: 'not-readable', why: expect.stringContaining('lockdown') });
  } finally {
    guest.end();
  }
});
