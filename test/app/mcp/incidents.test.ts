import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from '../../support/documents.js';
import { type FixtureName, fixture, incident } from '../../support/fixtures.js';
import { follow, MAX_CALLS, McpClient } from '../../support/mcp.js';
import { type MadeProcess, snapshotFiles, writeCapture } from '../../support/snapshot.js';

const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-incidents-'));
let fixtures: McpClient;
let snapshots: McpClient;
beforeAll(async () => {
  const made: MadeProcess[] = [
    { pid: 1, comm: 'init', anonymous: 300 },
    { pid: 41, comm: 'indexer', anonymous: 700_000 },
    { pid: 42, comm: 'web', anonymous: 9_000 },
  ];
  writeCapture(join(folder, 'kdump-mem-snapshot'), snapshotFiles(made));
  execFileSync('tar', ['-czf', join(folder, 'db1.tar.gz'), '-C', folder, 'kdump-mem-snapshot']);
  fixtures = await McpClient.connect('--root', join(ROOT, 'fixtures'));
  snapshots = await McpClient.connect('--from', join(folder, 'db1.tar.gz'));
});
afterAll(async () => {
  await fixtures.client.close();
  await snapshots.client.close();
  rmSync(folder, { recursive: true });
});

/** The process whose sockets pin most, counted by drgn. */
function largestHolder(name: FixtureName): RegExp {
  const pinned = new Map<string, number>();
  for (const { holders, total } of fixture(name).truth.sockets) {
    const owners = new Set(holders.map(({ pid, comm }) => `pid ${pid} (${comm})`));
    for (const owner of owners) pinned.set(owner, (pinned.get(owner) ?? 0) + total.pinnedBytes);
  }
  const [[owner = ''] = []] = [...pinned].toSorted(([, a], [, b]) => b - a);
  return new RegExp(`sockets pin .* ${owner.replaceAll(/[()]/g, '\\$&')} holds`);
}

const { drgn } = incident().truth;

test.each([
  // The largest process is not the cause.
  ['incident.vmcore', new RegExp(`sockets of pid ${drgn.pid} \\(${drgn.comm}\\) pin 115 MiB`)],
  // Extracts contain sockets, but no log and no page frames.
  ['dumps/6.12.vmcore', largestHolder('6.12')],
  ['dumps/newest.vmcore', largestHolder('newest')],
  ['dumps/6.12-arm64-16k.vmcore', largestHolder('6.12-arm64-16k')],
  ['logs/panic-null-7.2.log', /Kernel oops: invalid memory access at 0x0+ in panics_do \[panics\]/],
  ['logs/panic-stack-5.10.log', /in panics_recurse \[panics\]: stack guard page was hit/],
  ['logs/panic-hung-task-7.2.log', /Hung task: pid 134 \(panics-hang\)/],
  ['logs/panic-soft-lockup-5.10.log', /Soft lockup: CPU 1 stuck for 5 s in pid 109 \(insmod\)/],
  ['logs/oom-6.12.log', /killed pid 175 \(takeuser\), which had 95\.4 MiB of anonymous memory/],
])('%s: the suggested calls alone lead to the cause', async (source, culprit) => {
  const calls = await follow(fixtures, source, culprit);
  expect(calls.length).toBeLessThanOrEqual(MAX_CALLS);
});

test('a snapshot: the suggested calls alone lead to the process that holds the memory', async () => {
  const calls = await follow(snapshots, join(folder, 'db1.tar.gz'), /pid 41 \(indexer\)/);
  expect(calls.length).toBeLessThanOrEqual(MAX_CALLS);
});
