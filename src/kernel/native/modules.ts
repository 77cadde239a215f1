import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { bytesOf, textOf } from '../bytes.js';
import type { StructLayout } from '../layout.js';
import { Btf } from './btf/btf.js';
import type { ModuleTypes } from './types.js';

/** Modules that can be loaded at once, by any measure. */
const MOST_MODULES = 4096;
const MOST_BTF_BYTES = 32 << 20;
/** All modules' types together. */
const MOST_TOTAL_BYTES = 256 << 20;

/** What is needed of a kernel to find its modules' types. */
export interface ModuleSource {
  symbol(name: string): bigint | undefined;
  read(address: bigint, length: number): DataView;
  struct(name: string): StructLayout | undefined;
}

/** The types of the loaded modules, and why some are missing, one line each. */
export interface ModuleBtf {
  readonly modules: readonly ModuleTypes[];
  readonly problems: readonly string[];
}

/**
 * Reads the split BTF of every loaded module off the kernel's list `btf_modules` (kernel/bpf/btf.c,
 * since 5.11). A module whose types cannot be read or do not continue the kernel's is left out, with
 * a line that says so.
 */
export function readModuleBtf(kernel: ModuleSource, base: Btf): ModuleBtf {
  const head = kernel.symbol('btf_modules');
  if (head === undefined) return { modules: [], problems: ['no symbol btf_modules'] };
  const list = kernel.struct('btf_module');
  const blob = kernel.struct('btf');
  const link = list?.member('list');
  const pointer = list?.member('btf');
  const data = blob?.member('data');
  const size = blob?.member('data_size');
  const name = blob?.member('name');
  if (!link || !pointer || !data || !size || !name)
    return { modules: [], problems: ['struct btf_module or struct btf: unsupported layout'] };
  const startId = blob?.member('start_id');
  const startString = blob?.member('start_str_off');

  const modules: ModuleTypes[] = [];
  const problems: string[] = [];
  const seen = new Set<bigint>([head]);
  let total = 0;
  const pointerAt = (address: bigint): bigint => kernel.read(address, 8).getBigUint64(0, true);
  const take = (entry: bigint): void => {
    const btf = pointerAt(entry - BigInt(link.offset) + BigInt(pointer.offset));
    const whole = kernel.read(btf, blob!.size);
    const module = textOf(bytesOf(whole, name.offset, name.size));
    const number = (member: { offset: number } | undefined): number | undefined =>
      member && whole.getUint32(member.offset, true);
    const bytes = number(size)!;
    total += bytes;
    if (bytes > MOST_BTF_BYTES || total > MOST_TOTAL_BYTES)
      throw new KernelError('damaged', `${module}: BTF too large (${bytes} bytes)`);
    const firstId = number(startId);
    const firstString = number(startString);
    if (firstId !== undefined && firstId !== base.endId)
      throw new KernelError(
        'damaged',
        `${module}: BTF does not match the kernel (types begin at ${firstId}, not ${base.endId})`,
      );
    if (firstString !== undefined && firstString !== base.stringsEnd)
      throw new KernelError(
        'damaged',
        `${module}: BTF does not match the kernel (strings begin at ${firstString})`,
      );
    try {
      const view = kernel.read(whole.getBigUint64(data.offset, true), bytes);
      const types = Btf.parse(bytesOf(view, 0, bytes), base);
      modules.push({ module, btf: types });
    } catch (error) {
      const what = error instanceof ReadError ? 'types not readable: ' : '';
      throw new KernelError('no-types', `${module}: ${what}${problem(error)}`, { cause: error });
    }
  };
  try {
    for (let at = pointerAt(head); at !== head; at = pointerAt(at)) {
      if (seen.has(at) || seen.size > MOST_MODULES) {
        problems.push('list btf_modules does not terminate (loop?)');
        break;
      }
      seen.add(at);
      try {
        take(at);
      } catch (error) {
        problems.push(problem(error));
      }
    }
  } catch (error) {
    problems.push(problem(error));
  }
  return { modules, problems };
}

function problem(error: unknown): string {
  if (error instanceof KernelError || error instanceof ReadError) return error.message;
  throw error;
}
