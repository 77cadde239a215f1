import { expect, test } from 'vitest';
import { accountFd, accountProcess } from '../../src/account/skb.js';
import { accountAll } from '../../src/account/sockets.js';
import { ReadError } from '../../src/base/errors.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { type Damage, damagedKernel, kernelWith, together } from '../support/damaged-kernel.js';
import { ledgerOf } from '../support/ledger.js';
import { fixtureKernel } from '../support/opened-kernel.js';

const { kernel, truth, lose } = fixtureKernel('6.1');

const holder = truth.sockets.find(({ holders, total }) => holders.length === 1 && total.frags > 10)?.holders[0];

/** Every line that the commands print. */
function* lines(of: Kernel): Generator<string> {
  const { pid, fd } = holder!;
  const questions = [
    () => accountAll(of),
    () => accountProcess(of, pid),
    () => ({ ...accountFd(of, pid, fd), outsideQueues: [] }),
  ];
  for (const ask of questions) {
    try {
      const answer = ask();
      for (const { message } of answer.warnings) yield message;
      if ('outsideQueues' in answer) for (const { message } of ledgerOf(answer).values()) yield message;
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      yield error.message;
    }
  }
}

/** Removes what defines the end of memory. */
const NO_END = [lose('max_pfn', 8), lose('node_data', 8)];

/** Scans no page frame: that takes most of the time and adds nothing here. */
function unscanned(lost: readonly Damage[], onRead?: (at: bigint, length: number) => void) {
  return kernelWith(damagedKernel(kernel, together(...NO_END, ...lost), onRead), { memoryEnd: undefined });
}

/** All pages that these commands read, in the order of first reads. */
function pagesRead(): bigint[] {
  const pages = new Set<bigint>();
  const noting = unscanned([], (address, length) => {
    for (let at = address & ~0xfffn; at < address + BigInt(length); at += 4096n) pages.add(at);
  });
  for (const _ of lines(noting));
  return [...pages];
}

const MISSING = /0x[0-9a-f]+ was filtered out of the dump/;
const NAMED = /[,(] ?part of [a-z ]*\w+ at 0x[0-9a-f]+\)\.?$/;
/** One of this many pages is tested. */
const EACH = 17;

test('for any missing page, lines with an address also name the object there', () => {
  const pages = pagesRead().filter((_, index) => index % EACH === 0);
  expect(pages.length).toBeGreaterThan(30);
  const named = new Set<string>();
  for (const address of pages) {
    for (const line of lines(unscanned([lose(address, 4096)]))) {
      if (!MISSING.test(line)) continue;
      named.add(line);
      expect(line).toMatch(NAMED);
    }
  }
  expect(named.size).toBeGreaterThan(pages.length);
});
