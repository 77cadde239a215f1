import { copyFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memorySchema } from '../../../src/contracts/memory.js';
import { procsSchema } from '../../../src/contracts/procs.js';
import { snapshotSchema } from '../../../src/contracts/snapshot.js';
import { stacksSchema } from '../../../src/contracts/stacks.js';
import { fixture, incident } from '../../support/fixtures.js';
import { labDump } from '../../support/lab.js';
import { launch } from '../../support/launched.js';
import { McpClient } from '../../support/mcp.js';
import { installTree, nodeOf } from './installed-tree.js';

/** Three majors, and two releases of one major whose V8 reports the same version. */
const RELEASES = ['20-19', '20-20', '22', '24'] as const;

const { vmcore, truth } = fixture('6.1');
const { elf } = labDump('6.1');
const { pid, fd } = truth.roles.find(({ name }) => name === 'starving')!;
const SKB = ['skb', '--pid', `${pid}`, '--fd', `${fd}`, '--vmcore', vmcore];

let tree: ReturnType<typeof installTree>;
beforeAll(() => {
  tree = installTree();
});
afterAll(() => rmSync(tree.folder, { recursive: true, force: true }));

const run = (node: string, args: readonly string[], command = 'kdump-mem') =>
  launch(node, [join(tree.bin, `${command}.js`), ...args], { HOME: tree.home });

describe('one installed tree, run by several releases of Node in turn', () => {
  test.each([
    ['kdump-mem', SKB],
    ['kdump-mem', ['sockets', '--vmcore', vmcore, '--json']],
    ['kdump-mem', ['memory', '--vmcore', elf, '--json']],
    ['kdump-mem', ['memory', '--as', 'meminfo', '--vmcore', elf]],
    ['kdump-mem', ['triage', '--vmcore', incident().vmcore]],
    ['kdump-mem', ['blocked', '--vmcore', elf]],
    ['kdump-mem', ['refs', 'init_task', '--vmcore', elf]],
    ['kdump-mem', ['procs', '--vmcore', elf, '--json']],
    ['kdump-mem', ['--version']],
    ['kdump-mem', ['help', 'skb']],
    ['skcheck', ['--help']],
  ])('%s %j gives the same answer', async (command, args) => {
    const answer = await run(process.execPath, args, command);
    expect(answer).toMatchObject({ status: 0, signal: null, stderr: '' });
    for (const release of [...RELEASES, ...RELEASES, ...RELEASES.toReversed()])
      expect(await run(nodeOf(release), args, command), release).toEqual(answer);
  });

  test.each(RELEASES)('%s serves answers to an agent', async (release) => {
    const program = ['/usr/bin/env', `HOME=${tree.home}`, nodeOf(release)] as const;
    const server = [...program, join(tree.bin, 'kdump-mem.js')] as const;
    await using client = await McpClient.connectTo(server, '--vmcore', incident().vmcore);
    const { failed, text } = await client.call('triage');
    expect([failed, text]).toEqual([false, expect.stringContaining('Probable cause: ')]);
  });

  test.each(RELEASES)('%s reads this machine’s memory', async (release) => {
    const sources = ['pageflags', 'counters'];
    for (const source of sources) {
      const args = ['memory', '--live', '--source', source, '--json'];
      const { status, stdout, stderr } = await run(nodeOf(release), args);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(memorySchema.parse(JSON.parse(stdout)).source).toBe(source);
    }
  });

  test.each(RELEASES)('%s reads this machine’s processes, their sockets and stacks', async (release) => {
    const node = nodeOf(release);
    const { status, stdout, stderr } = await run(node, ['procs', '--live', '--sockets', '--json']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { processes } = procsSchema.parse(JSON.parse(stdout));
    const own = processes.find(({ pid }) => pid === process.pid);
    expect(own?.ussBytes).toBeGreaterThan(0);
    const args = ['procs', '--live', '--pid', `${process.pid}`, '--stacks', '0.5', '--json'];
    const recorded = await run(node, args);
    expect(recorded).toMatchObject({ status: 0, stderr: '' });
    expect(stacksSchema.parse(JSON.parse(recorded.stdout)).pid).toBe(process.pid);
  });

  test.each(RELEASES.map((release, at) => [release, RELEASES.at(at - 1) ?? release] as const))(
    '%s takes a snapshot that %s reads too',
    async (release, other) => {
      const file = join(tree.folder, `${release}.tar.gz`);
      const options = ['--interval', '0.2', '--json'];
      const snapshotRun = await run(nodeOf(release), ['snapshot', '-o', file, ...options]);
      expect(snapshotRun).toMatchObject({ status: 0, signal: null });
      const { files } = snapshotSchema.parse(JSON.parse(snapshotRun.stdout));
      const verified = await run(nodeOf(other), ['snapshot', '--verify', file, '--json']);
      expect(JSON.parse(verified.stdout)).toMatchObject({ intact: true, files });
      for (const schema of ['memory', 'procs', 'triage']) {
        const args = [schema, '--from', file, '--json'];
        const first = await run(nodeOf(release), args);
        expect(first.stdout).toContain(`"schema": "kdump-mem.${schema}/1"`);
        expect(await run(nodeOf(other), args), schema).toEqual(first);
      }
    },
  );

  test('each release keeps its compiled code', async () => {
    const cache = join(tree.home, '.cache/kdump-mem');
    const kept = () =>
      readdirSync(cache)
        .filter((name) => name.startsWith('kdump-mem-skb-'))
        .map((name) => `${name} ${statSync(join(cache, name)).ino}`)
        .toSorted();
    for (const release of RELEASES) await run(nodeOf(release), SKB);
    const before = kept();
    expect(before.length).toBeGreaterThanOrEqual(RELEASES.length);
    for (const release of RELEASES) await run(nodeOf(release), SKB);
    expect(kept()).toEqual(before);
  });
});

describe.each(['replaces', 'writes over'])('a cache that another release of Node %s', (way) => {
  test('does not prevent an answer', async () => {
    const node = join(tree.folder, 'node');
    const put = (release: (typeof RELEASES)[number]) => {
      copyFileSync(nodeOf(release), `${node}-new`);
      if (way === 'replaces') renameSync(`${node}-new`, node);
      else copyFileSync(`${node}-new`, node);
    };
    for (const release of ['20-19', '20-20', '20-19', '22'] as const) {
      put(release);
      for (let again = 0; again < 2; again++)
        expect(await run(node, SKB), release).toMatchObject({
          status: 0,
          stderr: '',
          stdout: expect.stringContaining(`pid ${pid} `),
        });
    }
  });
});

describe.each(['8', '18'] as const)('Node %s, too old,', (release) => {
  test.each([
    ['kdump-mem', SKB],
    ['kdump-mem', ['--version']],
    ['skcheck', ['--stale']],
  ])('is refused by %s %j: one line, status 3', async (command, args) => {
    const { status, stderr, stdout } = await run(nodeOf(release), args, command);
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
    expect(stderr).toMatch(
      new RegExp(`^${command}: this is Node ${release}\\.[0-9.]+, and Node 20\\.19 or newer is .*\n$`),
    );
  });

  test('is refused even if nothing else can be loaded', async () => {
    const alone = join(tree.folder, 'alone.js');
    copyFileSync(join(tree.bin, 'kdump-mem.js'), alone);
    expect(await launch(nodeOf(release), [alone], {})).toMatchObject({
      status: 3,
      stdout: '',
      stderr: expect.stringMatching(/^kdump-mem: this is Node .*\n$/),
    });
  });
});
