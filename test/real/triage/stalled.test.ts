import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { accountAll } from '../../../src/account/sockets.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { stalledReaders } from '../../../src/triage/triage.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { drgnJson } from '../../support/drgn.js';
import { labDump, labKernel, ofRun, role } from '../../support/lab.js';

interface DrgnSocket {
  readonly ticks: number;
  readonly window: number;
  readonly unread: number;
}

test.each(ofRun(['5.10', 'newest', '6.12-arm64-16k'] as const))(
  '%s: stalled readers, for how long, and what they do meanwhile',
  (name) => {
    const { elf, kernel: of, truth } = labDump(name);
    const kernel = openNative({ files: [elf] });
    const warnings = new Warnings();
    const census = accountAll(kernel);
    const found = stalledReaders(kernel, census, warnings, 0);
    const later = stalledReaders(kernel, census, warnings, 86_400);
    kernel.close();
    expect(warnings.list()).toEqual([]);
    expect(later).toEqual([]);
    const perSecond = Number(/^CONFIG_HZ=(\d+)$/m.exec(readFileSync(labKernel(of).config, 'utf8'))?.[1]);
    const drgn = drgnJson<Record<string, DrgnSocket>>(elf, of, new URL('stalled.py', import.meta.url));
    for (const { figures } of found) {
      const other = drgn[String(figures.sock)];
      expect(figures.ageSeconds).toBe(Math.floor((other?.ticks ?? Number.NaN) / perSecond));
      expect(figures).toMatchObject({ windowBytes: other?.window, unreadBytes: other?.unread });
    }
    // Its peer writes until the buffers are full; it sleeps and never reads.
    const { pid, fd, comm } = role(truth, 'stuffed-reader');
    const stuffed = found.find(({ figures }) => figures.pid === pid && figures.fd === fd);
    expect(stuffed).toMatchObject({ severity: 'warning', figures: { comm, threads: 1, holders: 1 } });
    // pause() in glibc is another system call on arm64.
    expect(stuffed?.figures.symbol).toMatch(/pause|poll/);
    expect(stuffed?.evidence).toEqual([expect.objectContaining({ kind: 'stack', end: 'user' })]);
    // A process that reads all incoming data is not reported.
    const healthy = role(truth, 'healthy');
    expect(found.filter(({ figures }) => figures.pid === healthy.pid)).toEqual([]);
  },
);
