import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { SkcheckReport } from '../../../src/answers/skcheck/schema.js';
import { scan, statusOf } from '../../../src/app/skcheck/scan.js';
import { readCapture } from '../../../src/capture/read/files.js';
import { CapturedHost } from '../../../src/capture/read/host.js';
import { captureFiles, captureTar, manifestOf, tcpRow, udpRow, unixRow } from '../../support/capture.js';
import { type CapturedEntries, DAMAGES } from '../../support/capture-damage.js';
import { scratchFolder } from '../../support/scratch.js';

const dir = scratchFolder('skcheck-damaged-');

const OPTIONS = { interval: 2, minBytes: 1, minAge: 0 };

async function ask(archive: Buffer): Promise<{ status: number; report: SkcheckReport | null }> {
  const path = join(dir, 'capture.tar');
  writeFileSync(path, archive);
  try {
    const { report } = await scan(new CapturedHost(await readCapture(path)), OPTIONS);
    return { status: statusOf(report, OPTIONS), report };
  } catch {
    // main turns this error into one line and this status.
    return { status: 3, report: null };
  }
}

/** Nothing is stalled in it: after any damage an all-clear is wrong. */
let healthy: CapturedEntries;
/** Contains three stalled sockets, TCP in two namespaces and UDP, and one undecided unix socket. */
let stalled: CapturedEntries;

beforeAll(() => {
  const made = (files: Map<string, string>): CapturedEntries => [...files, ['manifest', manifestOf(files)]];
  const reads = [tcpRow(500, 100, 300) + udpRow(601, 0), tcpRow(500, 100, 900) + udpRow(601, 0)] as const;
  healthy = made(captureFiles({ inet: reads, unix: [unixRow(700, 0), unixRow(700, 0)] }));
  const waits = [tcpRow(500, 100, 300) + udpRow(601, 1280), tcpRow(500, 100, 300) + udpRow(601, 1280)] as const;
  stalled = made(
    captureFiles({
      inet: waits,
      unix: [unixRow(700, 5), unixRow(700, 5)],
      elsewhere: [tcpRow(502, 7, 7), tcpRow(502, 7, 7)],
    }),
  );
});

test('an undamaged capture is an all-clear, or names its stalled sockets', async () => {
  expect(await ask(captureTar(healthy))).toMatchObject({
    status: 0,
    report: { complete: true, totals: { sockets: 3, stalled: 0 } },
  });
  expect(await ask(captureTar(stalled))).toMatchObject({
    status: 1,
    report: { complete: true, totals: { stalled: 3, undecided: 1 } },
  });
});

describe('damage to one file never gives an all-clear: a file', () => {
  test.each(Object.entries(DAMAGES))('%s', async (_, damage) => {
    let tried = 0;
    for (const files of [healthy, stalled])
      for (const [index, [name]] of files.entries()) {
        const damaged = damage(files, index);
        if (!damaged) continue;
        tried++;
        const { status, report } = await ask(captureTar(damaged));
        expect([name, status === 0, report?.complete ?? false]).toEqual([name, false, false]);
      }
    expect(tried).toBeGreaterThan(8);
  });
});

test('swapped samples, a truncated archive and added files give no all-clear either', async () => {
  const swapped = stalled.map(
    ([name, text]) => [name.replace(/^sample-([12])/, (_, n) => `sample-${3 - Number(n)}`), text] as [string, string],
  );
  expect((await ask(captureTar(swapped))).report?.complete).toBe(false);
  expect((await ask(captureTar([...healthy, ['sample-2/netns-9/inet', '']]))).report?.complete).toBe(false);
  const archive = captureTar(healthy);
  for (let end = 0; end < archive.length - 1024; end += 512)
    expect((await ask(archive.subarray(0, end))).status).toBe(3);
});

describe('a second sample without output of ss is no all-clear, whatever the manifest contains', () => {
  const OWN = 'sample-2/netns-4026531840/';
  test.each([
    ['all of it', 'sample-2/', 'sample 2 is missing'],
    ['no ss', 'sample-2/netns-', null],
    ['its own namespace is missing', OWN, 'sample 2 has no sockets (inet) of network namespace 4026531840'],
    ['no Internet sockets', `${OWN}inet`, 'sample 2 has no sockets (inet) of network namespace 4026531840'],
    ['no unix sockets', `${OWN}unix`, 'sample 2 has no sockets (unix) of network namespace 4026531840'],
    [
      'the other namespace is missing',
      'sample-2/netns-4026532001/inet',
      'sample 2 has no sockets (inet) of network namespace 4026532001',
    ],
  ])('%s', async (_, lost, words) => {
    const files = new Map(healthy.slice(0, -1).filter(([name]) => !name.startsWith(lost)));
    expect(files.size).toBeLessThan(healthy.length - 1);
    const listed = files.get('sample-2/namespaces');
    // The other namespace also has a process.
    if (listed !== undefined)
      files.set(
        'sample-2/namespaces',
        listed +
          listed
            .replace(/.*self.*\n/, '')
            .replaceAll('/10/', '/11/')
            .replaceAll('4026531840', '4026532001'),
      );
    const { status, report } = await ask(captureTar([...files, ['manifest', manifestOf(files)]]));
    expect(status).toBe(3);
    // Without any sockets there is no report at all.
    if (words === null) expect(report).toBeNull();
    else expect(report?.warnings.map(({ message }) => message).join()).toContain(words);
  });

  test('a namespace that disappeared is no damage', async () => {
    const lost = 'sample-2/netns-4026532001/';
    const files = new Map(healthy.slice(0, -1).filter(([name]) => !name.startsWith(lost)));
    const { report } = await ask(captureTar([...files, ['manifest', manifestOf(files)]]));
    expect(report?.complete).toBe(true);
  });
});

test('a capture without a manifest is read, and never an all-clear', async () => {
  const old = (files: CapturedEntries) => captureTar(files.slice(0, -1));
  expect(await ask(old(stalled))).toMatchObject({ status: 1, report: { totals: { stalled: 3 } } });
  const { status, report } = await ask(old(healthy));
  expect(status).toBe(3);
  expect(report?.warnings).toMatchObject([{ code: 'capture', message: expect.stringContaining('has no manifest') }]);
});
