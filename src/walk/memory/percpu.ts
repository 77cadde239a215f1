import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, needSymbol } from '../machine/cpus.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** Bytes of kernel addresses. */
export interface AddressRange {
  readonly address: bigint;
  readonly bytes: number;
}

/** A unit has some tens of KiB to a few MiB. */
const MOST_UNIT_BYTES = 2 ** 30;

/**
 * Each CPU's part of the first chunk of per-CPU memory, which is taken at boot: the image's own per-CPU
 * variables, and what behind them is given out (pcpu_setup_first_chunk in mm/percpu.c). Other chunks lie
 * in vmalloc's address space.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function firstPerCpuChunk(kernel: Kernel): AddressRange[] {
  const chunk = new StructReader(kernel, 'pcpu_chunk', ['base_addr', 'nr_pages']);
  const pointer = (name: string): bigint => {
    const at = needSymbol(kernel, name);
    return pointerPartOf(kernel, name, at, at);
  };
  const base = pointer('pcpu_base_addr');
  const first = chunk.read(pointer('pcpu_first_chunk'));
  const end = first.pointer('base_addr') + BigInt(first.number('nr_pages') * kernel.facts.pageSize);
  const bytes = Number(end - base);
  if (!(bytes > 0 && bytes <= MOST_UNIT_BYTES)) {
    throw new KernelError('damaged', `a unit of per-CPU memory has ${bytes} bytes`);
  }
  const offsets = pointer('pcpu_unit_offsets');
  return cpuMask(kernel, '__cpu_possible_mask').map((cpu) => ({
    address: base + pointerPartOf(kernel, 'pcpu_unit_offsets', offsets, offsets + BigInt(8 * cpu)),
    bytes,
  }));
}
