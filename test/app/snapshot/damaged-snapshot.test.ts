import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hostProcesses } from '../../../src/account/processes/host.js';
import { capturedAt } from '../../../src/app/kit/captured-source.js';
import { readCapture } from '../../../src/capture/read/files.js';
import { readProcesses } from '../../../src/host/proc/process-memory.js';
import { captureTar, manifestOf } from '../../support/capture.js';
import { type CapturedEntries, DAMAGES } from '../../support/capture-damage.js';
import { scratchFolder } from '../../support/scratch.js';
import { snapshotFiles } from '../../support/snapshot.js';

const folder = scratchFolder('damaged-snapshot-');

const files = snapshotFiles([
  { pid: 1, comm: 'init', anonymous: 300 },
  { pid: 7, comm: 'grows', anonymous: 900, before: 500, cgroup: '/a' },
]);
const whole: CapturedEntries = [...files, ['manifest', manifestOf(files)]];

/** Whether `procs --from` calls it complete; an error counts as incomplete. */
async function isComplete(entries: CapturedEntries): Promise<boolean> {
  const path = join(folder, 'snapshot.tar');
  writeFileSync(path, captureTar(entries));
  try {
    const { host, of, warnings } = capturedAt(await readCapture(path), 'last');
    return hostProcesses(await readProcesses(host), undefined, { captured: of, warnings }).complete;
  } catch {
    return false;
  }
}

test('an undamaged snapshot is complete', async () => {
  expect(await isComplete(whole)).toBe(true);
});

describe('damage to one file never leaves the process list complete: a file', () => {
  test.each(Object.entries(DAMAGES))('%s', async (_, damage) => {
    let tried = 0;
    for (const [index, [name]] of whole.entries()) {
      const damaged = damage(whole, index);
      if (!damaged) continue;
      tried++;
      expect([name, await isComplete(damaged)]).toEqual([name, false]);
    }
    expect(tried).toBeGreaterThan(2);
  });
});
