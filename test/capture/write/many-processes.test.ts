import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { hostProcesses } from '../../../src/account/processes/host.js';
import { capturedAt } from '../../../src/app/kit/captured-source.js';
import { readCapture } from '../../../src/capture/read/files.js';
import { Archive } from '../../../src/capture/write/archive.js';
import { verifySnapshot } from '../../../src/capture/write/verify.js';
import { readProcesses } from '../../../src/host/proc/process-memory.js';
import { snapshotFiles } from '../../support/snapshot.js';

const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-many-'));
afterAll(() => rmSync(folder, { recursive: true }));

const PROCESSES = 30_000;
/** Lines of status that no figure uses: with them a process takes 5 KiB, as on a real machine. */
const FILLER = Array.from({ length: 50 }, (_, at) => `Filler${at}:\t${'0'.repeat(60)}`);

test('writes a complete snapshot of 30,000 processes, and procs reports each size', async () => {
  const made = Array.from({ length: PROCESSES }, (_, at) => ({
    pid: at + 1,
    comm: `worker${at}`,
    anonymous: 1000 + (at % 7),
  }));
  const path = join(folder, 'snapshot.tar.gz');
  const pieces: Buffer[] = [];
  const archive = new Archive((piece) => pieces.push(Buffer.from(piece)), Date.now());
  for (const [name, content] of snapshotFiles(made)) {
    const member = archive.member(name);
    const isStates = /\/(?:before|after)$/.test(name);
    if (!isStates) member.write(content);
    else
      for (const line of content.split(/(?<=\n)/)) {
        member.write(line);
        const folderOf = /^(\/proc\/\d+)\/status:Tgid/.exec(line)?.[1];
        if (folderOf !== undefined) member.write(FILLER.map((filler) => `${folderOf}/status:${filler}\n`).join(''));
      }
    member.end();
  }
  archive.finish();
  writeFileSync(path, Buffer.concat(pieces));
  expect((await verifySnapshot(path)).faults).toEqual([]);
  const { host, of, warnings } = capturedAt(await readCapture(path), 'last');
  const answer = hostProcesses(await readProcesses(host), undefined, { captured: of, warnings });
  expect(answer.warnings).toEqual([]);
  expect(answer.processes.length).toBe(PROCESSES);
  expect(answer.processes.filter(({ pssBytes: pss }) => pss === null)).toEqual([]);
  expect(answer.complete).toBe(true);
  expect(process.memoryUsage().rss).toBeLessThan(2 ** 31);
});
