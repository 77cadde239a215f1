import { afterEach, expect, test, vi } from 'vitest';
import { MemoryMetrics } from '../../../src/app/skcheck/metrics.js';
import { HostError } from '../../../src/base/errors.js';
import { answerOf } from '../../answers/memory/answer.js';

afterEach(() => {
  vi.restoreAllMocks();
});

/** A machine whose scans take this long, on its own clock. */
function machine(durationMs: number) {
  const clock = { now: 0, looks: 0 };
  const metrics = new MemoryMetrics(
    async () => {
      clock.now += durationMs;
      clock.looks++;
      return answerOf({ vmalloc: clock.looks });
    },
    () => clock.now,
  );
  return { clock, metrics };
}

test('reuses a slow scan, so that scans take at most a twentieth of the time', async () => {
  const { clock, metrics } = machine(3000);
  expect((await metrics.next()).text).toMatch(/^kdump_mem_memory_age_seconds 0$/m);
  clock.now += 59_000;
  expect((await metrics.next()).text).toMatch(/^kdump_mem_memory_age_seconds 59$/m);
  expect(clock.looks).toBe(1);
  clock.now += 2000;
  const { text } = await metrics.next();
  expect(clock.looks).toBe(2);
  expect(text).toMatch(/^kdump_mem_memory_age_seconds 0$/m);
  expect(text).toMatch(/^kdump_mem_memory_bytes\{group="kernel",category="vmalloc"\} 8192$/m);
  expect(text).toMatch(/^kdump_mem_memory_scan_seconds 3$/m);
});

test('a failed scan is a metric, never old figures, and is reported once', async () => {
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  let fails = false;
  let now = 0;
  const metrics = new MemoryMetrics(
    async () => {
      if (fails) throw new HostError('denied', '/proc/kpageflags: permission denied\u001b[31m');
      return answerOf({ vmalloc: 1 });
    },
    () => now,
  );
  expect(await metrics.next()).toMatchObject({ ok: true });
  fails = true;
  now = 1;
  for (let scrape = 0; scrape < 3; scrape++) {
    const { text, ok } = await metrics.next();
    expect(ok).toBe(false);
    expect(text).toMatch(/^kdump_mem_memory_up 0$/m);
    expect(text).not.toContain('kdump_mem_memory_bytes');
  }
  expect(said.mock.calls).toEqual([['skcheck: memory: /proc/kpageflags: permission denied\\x1b[31m.\n']]);
  fails = false;
  expect((await metrics.next()).text).toMatch(/^kdump_mem_memory_up 1$/m);
});
