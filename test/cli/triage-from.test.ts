import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { hostTriageSchema } from '../../src/report/triage/captured-schema.js';
import { kdumpMem } from '../support/cli.js';
import { snapshotFiles, writeCapture } from '../support/snapshot.js';

const folder = mkdtempSync(join(tmpdir(), 'triage-from-'));
afterAll(() => rmSync(folder, { recursive: true }));

const OOM =
  'Out of memory: Killed process 7 (grows) total-vm:4000kB, anon-rss:900kB, file-rss:0kB, shmem-rss:0kB, UID:33 pgtables:44kB oom_score_adj:0';
const KMSG = [
  '6,0,0,-;Linux version 6.12.0',
  '4,1,80000000,-,caller=T9;INFO: task kworker/1:1:9 blocked for more than 120 seconds.',
  `3,2,90000001,-,caller=T7;${OOM}`,
  '',
].join('\n');

const AUXV = Buffer.alloc(32);
AUXV.writeBigUInt64LE(6n, 0);
AUXV.writeBigUInt64LE(4096n, 8);
const ZONES = `Node 0, zone   Normal
        min      1000
        low      2000
        high     3000
        spanned  262144
        present  262144
        managed  256000
  start_pfn:           4096
    cpu: 0
              count: 10
`;

let made = 0;
function snapshot(changes: Readonly<Record<string, string | null>> = {}): string {
  const files = new Map<string, string | Buffer>([
    ...snapshotFiles([]),
    ['log', KMSG],
    ['proc/self/auxv', AUXV],
    ['proc/zoneinfo', ZONES],
    ['proc/buddyinfo', 'Node 0, zone   Normal      9      0      0\n'],
    ['proc/sys/kernel/osrelease', '6.12.0-1\n'],
  ]);
  for (const [name, text] of Object.entries(changes))
    if (text === null) files.delete(name);
    else files.set(name, text);
  return writeCapture(join(folder, `snapshot-${++made}`), files);
}

describe('triage --from', () => {
  test('finds what the log and the counters of a snapshot tell', async () => {
    const path = snapshot();
    const { stdout, status } = await kdumpMem('triage', '--json', '--from', path);
    expect(status).toBe(0);
    const answer = hostTriageSchema.parse(JSON.parse(stdout));
    expect(answer).toMatchObject({
      ...{ release: '6.12.0-1', overwritten: 0, complete: true, warnings: [] },
      captured: { host: 'db1' },
      memory: { bytes: 262_144 * 4096 },
    });
    const codes = answer.findings.map(({ code }) => code);
    expect(codes).toEqual(expect.arrayContaining(['oom-kill', 'hung-task', 'low-memory']));
    const low = answer.findings.find(({ code }) => code === 'low-memory');
    expect(low?.figures).toMatchObject({ freeBytes: 9 * 4096, minBytes: 1000 * 4096 });
    // A capture has no stacks of the kernel's memory to ask for.
    for (const { deeper } of answer.findings)
      expect(deeper ?? 'log').toMatch(/^(log|memory|procs)/);
  });

  test('says it in words, and what it does not look at', async () => {
    const path = snapshot();
    const { stdout } = await kdumpMem('triage', '--from', path, '-v');
    expect(stdout).toMatch(
      /^Linux 6\.12\.0-1, captured of db1 at .*Z\. \d critical, \d warnings?\./,
    );
    expect(stdout).toContain(`Next: skcheck --from ${path}`);
    expect(stdout).toContain(`→ kdump-mem memory --nodes --from ${path}`);
  });

  test.each([
    ['the log', { log: null }, 'log was not captured'],
    ['the size of a page', { 'proc/self/auxv': null }, 'does not tell the size of a page'],
    ['older messages', { log: KMSG.split('\n').slice(1).join('\n') }, undefined],
  ])('without %s nothing found is no all-clear', async (_, changes, words) => {
    const { stdout } = await kdumpMem('triage', '--json', '--from', snapshot(changes));
    const { complete, warnings } = hostTriageSchema.parse(JSON.parse(stdout));
    expect(complete).toBe(false);
    expect(warnings.map(({ message }) => message)).toEqual(
      words === undefined ? [] : [expect.stringContaining(words)],
    );
  });

  test('--fail-on and --strict say it by the status', async () => {
    const path = snapshot();
    expect((await kdumpMem('triage', '--from', path, '--fail-on', 'oom-kill')).status).toBe(1);
    expect((await kdumpMem('triage', '--from', path, '--fail-on', 'panic')).status).toBe(0);
    const lacking = snapshot({ log: null });
    expect((await kdumpMem('triage', '--from', lacking, '--strict')).status).toBe(5);
  });

  test.each(['--rules=x', '--html=-', '--ndjson', '--similar'])('%s is refused', async (option) => {
    const { status, stderr } = await kdumpMem('triage', '--from', snapshot(), option);
    expect([status, stderr]).toEqual([2, expect.stringContaining('cannot be used')]);
  });
});
