import { afterAll } from 'vitest';
import type { UserPages } from '../../src/kernel/kernel.js';
import type { NativeKernel } from '../../src/kernel/native/kernel.js';
import { openNative } from '../../src/kernel/native/open.js';
import { memoryOf } from './damaged-kernel.js';
import { type FixtureName, fixture } from './fixtures.js';
import { type LabDumpName, labDump, type OracleSocket } from './lab.js';

/** A kernel in a dump, with the vocabulary of damage to it; closed after the tests of the file or `describe`. */
function opened(file: string) {
  const kernel = openNative({ files: [file] });
  afterAll(() => kernel.close());
  return { kernel, ...memoryOf(kernel) };
}

/** An answer of the kernel in a dump of one file or more, which is closed afterwards. */
export function askDump<T>(files: string | readonly string[], ask: (kernel: NativeKernel) => T): T {
  const kernel = openNative({ files: [files].flat() });
  try {
    return ask(kernel);
  } finally {
    kernel.close();
  }
}

/** An opened fixture dump, and what drgn and the guest know about it. */
export function fixtureKernel(name: FixtureName) {
  const { vmcore, truth } = fixture(name);
  return { ...opened(vmcore), truth };
}

/** The fixture's socket with the longest receive queue, and the addresses of the skbs in it. */
export function fullestQueue({ truth, addressOf, read }: Omit<ReturnType<typeof fixtureKernel>, 'kernel'>) {
  const length = ({ queues }: OracleSocket) => queues.receive?.skbs ?? 0;
  const full = truth.sockets.toSorted((one, other) => length(other) - length(one))[0]!;
  const queue = addressOf(BigInt(full.sock), 'sock.sk_receive_queue');
  const skbs: bigint[] = [];
  for (let at = read(queue); at !== queue; at = read(at)) skbs.push(at);
  return { full, skbs };
}

/** An opened dump of the lab. */
export const dumpKernel = (name: LabDumpName) => opened(labDump(name).elf);

/** A visitor of the page tables of a process that sees its pages only. */
export const pagesOnly = (page: UserPages['page']): UserPages => ({
  page,
  table: () => {},
  absent: () => {},
  missing: () => {},
});
