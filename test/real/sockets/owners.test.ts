import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { accountFd, accountSock } from '../../../src/account/skb.js';
import { accountAll } from '../../../src/account/sockets.js';
import { socketsBlocks } from '../../../src/answers/sockets/document.js';
import { blockTexts } from '../../../src/answers/text/blocks.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { drgnJson } from '../../support/drgn.js';
import { KERNELS, LAB, LabMissing, labDump, labKdump, ofRun, role } from '../../support/lab.js';

function censusOf<T>(file: string, ask: (all: ReturnType<typeof accountAll>, kernel: Kernel) => T) {
  const kernel = openNative({ files: [file] });
  try {
    return ask(accountAll(kernel, { by: 'process' }), kernel);
  } finally {
    kernel.close();
  }
}

/** drgn's results; see owners.py. Addresses in hex. */
interface Drgn {
  /** The sock whose socket each TCP sock points to; null: none. */
  readonly wholes: Readonly<Record<string, string | null>>;
  /** [pid, fd, the pid of each mapping of the file], of sockets that are mapped. */
  readonly mapped: readonly (readonly [number, number, readonly number[]])[];
}

describe.each(['6.1', 'newest'] as const)('owners of sockets of rare families on %s', (version) => {
  const file = () => {
    const path = join(LAB, 'dumps', `${version}-families`, 'elf.vmcore');
    if (!existsSync(path)) throw new LabMissing(path, `dump ${version}-families`);
    return path;
  };
  const drgn = () => drgnJson<Drgn>(file(), version, new URL('owners.py', import.meta.url));

  test('MPTCP subflows are part of their connection’s socket, and count with its process', () => {
    const { wholes } = drgn();
    const whole = new Map(Object.entries(wholes).filter(([sock, of]) => of && of !== sock));
    expect(whole.size).toBeGreaterThanOrEqual(4);
    censusOf(file(), (all) => {
      const ours = all.sockets.filter(({ subflowOf }) => subflowOf);
      const hex = (sock: bigint | null) => `0x${sock?.toString(16)}`;
      expect(new Map(ours.map(({ socket, subflowOf }) => [hex(socket.sock), hex(subflowOf)]))).toEqual(whole);
      const pids = new Set(ours.flatMap(({ connectionHolders }) => connectionHolders).map(({ pid }) => pid));
      expect(pids.size).toBe(1);
      const group = all.processes.find(({ key }) => key.startsWith(`${[...pids][0]} `));
      const held = all.sockets.filter(({ holders }) => holders.some(({ pid }) => pids.has(pid)));
      expect(group?.sockets).toBe(held.length + ours.length);
      expect(blockTexts(socketsBlocks(all, all.sockets, { limit: 1000 }), null).join('\n')).not.toContain('orphan');
    });
  });

  test('a mapping is reported, and does not prevent the socket from being freed', () => {
    const { mapped } = drgn();
    expect(mapped.length).toBeGreaterThan(0);
    censusOf(file(), (all, kernel) => {
      for (const [pid, fd, pids] of mapped) {
        const found = all.sockets.find(({ holders }) => holders.some((one) => one.pid === pid && one.fd === fd));
        expect(found?.mappedBy.map((one) => one.pid)).toEqual(pids);
        const { freedIfKilled, total } = accountFd(kernel, pid, fd);
        expect(freedIfKilled?.high).toBe(total.pinnedBytes);
      }
    });
  });

  test('each sock in the census can be queried by its address', () => {
    censusOf(file(), (all, kernel) => {
      for (const { socket, total } of all.sockets) {
        const { file: _, ...identity } = socket;
        expect(accountSock(kernel, socket.sock)).toMatchObject({ socket: identity, total });
      }
    });
  });
});

describe.each(KERNELS)('a kill on %s', (version) => {
  const { elf, truth } = labDump(version);

  test('on a listener frees its pending connections, for one descriptor and for all', () => {
    const { pid, fd } = role(truth, 'listener');
    censusOf(elf, (all, kernel) => {
      const group = all.processes.find(({ key }) => key.startsWith(`${pid} `));
      const { freedIfKilled, total } = accountFd(kernel, pid, fd);
      expect(total.pinnedBytes).toBe(0);
      expect(freedIfKilled?.high).toBeGreaterThan(3000);
      expect(freedIfKilled).toEqual(group?.freedIfKilled);
    });
  });

  test('is reported for processes only', () => {
    censusOf(elf, ({ processes }) => {
      for (const { key, freedIfKilled } of processes) {
        expect(freedIfKilled === null, key).toBe(key.startsWith('('));
      }
    });
  });
});

test.each(ofRun(['newest-kdump']))('%s, without sockets or owners, is complete for no process', () => {
  censusOf(labKdump('newest').formats['lzo-d31'][0] ?? '', (all) => {
    expect(all.totals.complete).toBe(false);
    expect(all.processes.length).toBeGreaterThan(5);
    for (const { key, total, freedIfKilled } of all.processes) {
      expect(total.complete, key).toBe(false);
      expect(freedIfKilled?.high ?? null, key).toBeNull();
    }
    const text = blockTexts(socketsBlocks(all, all.sockets, { by: 'process', limit: 1000 }), null).join('\n\n');
    expect(text).not.toMatch(/ to \d/);
    // None of them appears closed unless it was.
    for (const { socket } of all.sockets) {
      if (socket.inode === 0 && socket.file === 0n) expect(socket.state).not.toBe('LISTEN');
    }
  });
});
