import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, needSymbol } from '../cpus.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** A range of kernel addresses. */
export interface AddressRange {
  readonly address: bigint;
  readonly bytes: number;
}

/** Maximum size of a unit: typically some tens of KiB to a few MiB. */
const MOST_UNIT_BYTES = 2 ** 30;

/**
 * Units of the first per-CPU chunk, which is allocated at boot: static per-CPU variables of the kernel image,
 * then dynamic allocations (pcpu_setup_first_chunk in mm/percpu.c). Other chunks are vmalloc areas.
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
    throw damaged(`a unit of per-CPU memory has ${bytes} bytes`);
  }
  const offsets = pointer('pcpu_unit_offsets');
  return cpuMask(kernel, '__cpu_possible_mask').map((cpu) => ({
    address: base + pointerPartOf(kernel, 'pcpu_unit_offsets', offsets, offsets + BigInt(8 * cpu)),
    bytes,
  }));
}
