import { statSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { accountProcess } from '../src/account/skb.js';
import { accountAll } from '../src/account/sockets.js';
import { openNative } from '../src/kernel/native/open.js';
import { TaskReader } from '../src/walk/tasks/tasks.js';
import { FIXTURES, fixture } from './support/fixtures.js';

test('the fixtures are small enough for the repository', () => {
  const sizes = FIXTURES.map((name) => statSync(fixture(name).vmcore).size);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(16_000_000);
});

describe.each(FIXTURES)('the fixture of %s', (name) => {
  const { vmcore, truth } = fixture(name);
  const kernel = openNative({ files: [vmcore] });
  afterAll(() => kernel.close());

  test('describes itself', () => {
    expect(kernel.facts).toMatchObject({ release: truth.release, pageSize: truth.pageSize });
    expect(kernel.provenance.symbols.found).toBe(true);
    // 5.10 has no types of modules yet.
    const { problems } = kernel.moduleTypes;
    expect(problems.filter((one) => one !== 'no symbol btf_modules')).toEqual([]);
  });

  test('yields drgn’s figures for every process’s sockets', () => {
    const pids = new Set(truth.sockets.flatMap(({ holders }) => holders.map(({ pid }) => pid)));
    expect(pids.size).toBeGreaterThan(10);
    for (const pid of pids) {
      const held = truth.sockets.filter(({ holders, sock }) => {
        return sock !== null && holders.some((one) => one.pid === pid && one.tid === pid);
      });
      const { sockets } = accountProcess(kernel, pid);
      const ours = new Map(sockets.map((one) => [`0x${one.socket.sock.toString(16)}`, one]));
      expect(new Set(ours.keys())).toEqual(new Set(held.map(({ sock }) => sock)));
      for (const { sock, total, queues, local, peer, inode } of held) {
        const one = ours.get(sock);
        expect(one?.total, `pid ${pid}, ${sock}`).toEqual(total);
        expect(one?.queues).toMatchObject(queues);
        expect(one?.socket).toMatchObject({ local, peer, inode });
      }
    }
  });

  test('contains everything that a census reads', () => {
    const { sockets, totals, warnings } = accountAll(kernel);
    expect(warnings.map(({ code }) => code)).not.toContain('unreadable');
    expect(totals.complete).toBe(true);
    expect(sockets.length).toBeGreaterThanOrEqual(truth.sockets.length);
  });

  test('names its processes', () => {
    const comms = [...new TaskReader(kernel).processes()].map(({ pid, comm }) => `${pid} ${comm}`);
    for (const { pid, comm } of truth.roles.filter(({ comm }) => /^[\w-]+$/.test(comm)))
      expect(comms).toContain(`${pid} ${comm}`);
    expect(comms).toContain(`${truth.kernelThread.pid} ${truth.kernelThread.comm}`);
  });
});
