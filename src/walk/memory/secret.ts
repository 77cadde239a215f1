import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';
import { Cursor } from '../cursor.js';
import { readPartOf } from '../named-read.js';
import { memberOf, struct } from '../pages/struct-page.js';
import { StructReader } from '../struct-reader.js';
import type { FrameScan } from './frame-scan.js';
import type { FrameMap } from './page-array.js';
import { KIND } from './page-kinds.js';

/**
 * Frames of secret memory (memfd_secret, mm/secretmem.c): file pages of inodes with special operations. The
 * kernel counts its users. If there are none, as usual, nothing is read.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`; {@link ReadError}
 */
export function* secretFrames(
  kernel: Kernel,
  frames: FrameMap,
  { files, kinds }: FrameScan,
): Generator<number> {
  const users = kernel.symbol('secretmem_users');
  // Kernels before 5.14 have no secret memory.
  if (users === undefined) return;
  if (readPartOf(kernel, 'secretmem_users', users, users, 4).getUint32(0, true) === 0) return;
  const operations = needSymbol(kernel, 'secretmem_aops');
  const space = new StructReader(kernel, 'address_space', ['a_ops']);
  const secret = new Set<bigint>();
  for (const { mapping } of files.largest('cache'))
    if (mapping !== 0n && space.read(mapping).pointer('a_ops') === operations) secret.add(mapping);
  if (secret.size === 0) return;
  const at = memberOf(struct(kernel, 'page'), 'mapping').offset;
  const cursor = new Cursor(kernel, 'struct page');
  for (let index = 0; index < kinds.length; index++) {
    if (kinds[index] !== KIND.file) continue;
    const frame = frames.frameAt(index);
    const { view, base } = cursor.to(kernel.pages.pageOfFrame(frame)).look(at, 8);
    if (secret.has(view.getBigUint64(base + at, true))) yield frame;
  }
}
