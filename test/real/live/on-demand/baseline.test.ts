import { beforeAll, describe, expect, test } from 'vitest';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { inGuest, jsonInGuest, testGuest } from '../../../support/guest.js';

const OLD = '/tmp/old.tar.gz';
const STORE = '/tmp/old.ndjson';

/** A machine, its wall clock and the same machine after a reboot: the kernel, its files and its memory are the same. */
describe.each(['6.1', 'newest'] as const)('triage --baseline in a guest of %s', (kernel) => {
  const guest = testGuest(kernel);
  const boot = () => guest.boot({ kdumpMem: true, tools: ['incident'] });
  beforeAll(async () => {
    await boot();
    await guest.run(`kdump-mem snapshot -o ${OLD} --force --tmpfs`);
    await guest.run(`kdump-mem watch --store ${STORE} --interval 1 --for 2 --source counters`, { mayFail: true });
  });

  const since = async (baseline = OLD) => triageSchema.parse(await jsonInGuest(guest, `triage --baseline ${baseline}`));
  const found = ({ findings }: Awaited<ReturnType<typeof since>>, code: string) =>
    findings.filter((each) => each.code === code).map(({ figures }) => figures);
  const setClock = (seconds: number) => guest.run(`date -s @$(($(date +%s) + ${seconds}))`);

  test('the clock runs on: no step, and the same boot', async () => {
    const answer = await since();
    expect(answer.checked).toContain('baseline');
    for (const code of ['clock-step', 'rebooted', 'memory-growth']) expect(found(answer, code)).toEqual([]);
  });

  test.each([
    ['forward', 3600, 3600],
    ['back, to before the snapshot', -10_800, -7200],
    ['to where it was', 7200, 0],
  ])('the clock is set %s', async (direction, seconds, total) => {
    await setClock(seconds);
    const answer = await since();
    expect(answer.checked).toContain('baseline');
    const steps = found(answer, 'clock-step');
    expect(steps).toHaveLength(total === 0 ? 0 : 1);
    if (total !== 0) expect(Math.abs(Number(steps[0]?.stepSeconds) - total)).toBeLessThanOrEqual(10);
    expect(found(answer, 'rebooted')).toEqual([]);
    if (direction !== 'forward') return;
    const { output } = await inGuest(guest, `triage --baseline ${OLD}`);
    expect(output.toString()).toMatch(/Clock step: the wall clock was set 3[56]\d\d s forward/);
  });

  test('the machine has booted: growth is unknown, also since a store', async () => {
    const files = await Promise.all(
      [OLD, STORE].map(async (path) => ({ path, text: await guest.output(`base64 ${path}`) })),
    );
    await boot();
    for (const { path, text } of files) await guest.run(`base64 -d > ${path} << END\n${text}\nEND`);
    // More than what would be reported as growth.
    await guest.run(
      `(exec setsid incident anon ${100 * 2 ** 20} > /tmp/made 2>&1 &)
       for i in $(seq 300); do [ -s /tmp/made ] && break; usleep 100000; done`,
    );
    for (const { path } of files) {
      const answer = await since(path);
      const [boots, ...others] = found(answer, 'rebooted');
      expect(others).toEqual([]);
      const uptime = Number(await guest.output("cut -d' ' -f1 /proc/uptime"));
      expect(Number(boots?.uptimeSeconds)).toBeGreaterThan(0);
      expect(Number(boots?.uptimeSeconds)).toBeLessThanOrEqual(uptime);
      expect(found(answer, 'memory-growth')).toEqual([]);
      expect(found(answer, 'clock-step')).toEqual([]);
    }
    const { output } = await inGuest(guest, `triage --baseline ${OLD}`);
    expect(output.toString()).toMatch(/Reboot since the baseline: this boot began \d+ s ago\./);
  });
});
