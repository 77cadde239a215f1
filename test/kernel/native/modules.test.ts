import { describe, expect, it } from 'vitest';
import { openNativeImage } from '../../../src/kernel/native/open.js';
import { BtfWriter } from '../../support/btf.js';
import { type SyntheticKernel, someTypes, syntheticKernel } from '../../support/native-kernel.js';

const LIST = 0xffffffff93480000n;
const BTF_STRUCT = 96;

/** The kernel's types, plus the two structs that describe module types. */
function kernelTypes(): BtfWriter {
  const w = someTypes();
  const u32 = w.int('u32', 4);
  const pointer = w.pointer(0);
  const list = w.struct('list_head', 16, [
    { name: 'next', type: pointer, bitOffset: 0 },
    { name: 'prev', type: pointer, bitOffset: 64 },
  ]);
  w.struct('btf_module', 40, [
    { name: 'list', type: list, bitOffset: 0 },
    { name: 'module', type: pointer, bitOffset: 128 },
    { name: 'btf', type: pointer, bitOffset: 192 },
  ]);
  w.struct('btf', BTF_STRUCT, [
    { name: 'data', type: pointer, bitOffset: 0 },
    { name: 'data_size', type: u32, bitOffset: 64 },
    { name: 'start_id', type: u32, bitOffset: 96 },
    { name: 'start_str_off', type: u32, bitOffset: 128 },
    { name: 'name', type: w.array(w.int('char', 1), 56), bitOffset: 160 },
  ]);
  return w;
}

interface Written {
  readonly name: string;
  readonly blob: Uint8Array;
  readonly startId?: number;
}

/** A kernel with a list of modules; `change` may damage it. */
function kernelWith(
  modules: (base: BtfWriter) => readonly Written[],
  change: (made: SyntheticKernel, entries: readonly bigint[]) => void = () => {},
): ReturnType<typeof openNativeImage> {
  const base = kernelTypes();
  const made = syntheticKernel({ btf: base.build(), extra: [{ name: 'btf_modules', type: 'd', address: LIST }] });
  const written = modules(base);
  const entries = written.map((_, index) => LIST + 0x1000n + BigInt(index * 0x4000));
  const ring = [LIST, ...entries, LIST];
  const word = (at: bigint, value: bigint): void => made.memory.writeWord(made.physical(at), value);
  for (const [index, at] of ring.slice(0, -1).entries()) word(at, ring[index + 1]!);
  for (const [index, { name, blob, startId }] of written.entries()) {
    const entry = entries[index]!;
    const struct = entry + 0x100n;
    const data = entry + 0x1000n;
    word(entry + 24n, struct);
    const bytes = Buffer.alloc(BTF_STRUCT);
    bytes.writeBigUInt64LE(data, 0);
    bytes.writeUInt32LE(blob.length, 8);
    bytes.writeUInt32LE(startId ?? base.endId, 12);
    bytes.writeUInt32LE(base.stringsEnd, 16);
    bytes.write(name, 20, 'latin1');
    made.memory.write(made.physical(struct), bytes);
    made.memory.write(made.physical(data), blob);
  }
  change(made, entries);
  return openNativeImage(made.image);
}

function moduleBlob(base: BtfWriter, struct: string): Uint8Array {
  const w = new BtfWriter(base);
  w.struct(struct, 8, [{ name: 'page', type: 3, bitOffset: 0 }]);
  return w.build();
}

describe('types of modules', () => {
  it('are found if the kernel does not have the type', () => {
    const kernel = kernelWith((base) => [
      { name: 'vsock', blob: moduleBlob(base, 'vsock_sock') },
      { name: 'virtio', blob: moduleBlob(base, 'virtio_thing') },
    ]);
    expect(kernel.moduleTypes.modules.map(({ module }) => module)).toEqual(['vsock', 'virtio']);
    expect(kernel.moduleTypes.problems).toEqual([]);
    expect(kernel.struct('virtio_thing')).toMatchObject({ size: 8, members: ['page'] });
    expect(kernel.struct('page')?.size).toBe(64);
    expect(kernel.struct('nowhere')).toBeUndefined();
  });

  it('are empty if the kernel has no list of modules', () => {
    const kernel = openNativeImage(syntheticKernel().image);
    expect(kernel.moduleTypes).toEqual({ modules: [], problems: ['no symbol btf_modules'] });
    expect(kernel.struct('vsock_sock')).toBeUndefined();
  });

  it('omit an unreadable module, and report it', () => {
    const kernel = kernelWith(
      (base) => [
        { name: 'lost', blob: moduleBlob(base, 'lost_thing') },
        { name: 'kept', blob: moduleBlob(base, 'kept_thing') },
      ],
      (made, entries) => made.memory.pages.delete(made.physical(entries[0]! + 0x1000n) / 4096),
    );
    expect(kernel.moduleTypes.modules.map(({ module }) => module)).toEqual(['kept']);
    expect(kernel.moduleTypes.problems).toEqual([expect.stringContaining('lost: types not readable')]);
  });

  it('omit a module that extends the types of another kernel', () => {
    const kernel = kernelWith((base) => [{ name: 'foreign', blob: moduleBlob(base, 'x'), startId: 7 }]);
    expect(kernel.moduleTypes.modules).toEqual([]);
    expect(kernel.moduleTypes.problems).toEqual([
      expect.stringContaining('foreign: BTF does not match the kernel (types begin at 7'),
    ]);
  });

  it('omit a module with damaged types', () => {
    const kernel = kernelWith((base) => [{ name: 'bad', blob: moduleBlob(base, 'x').fill(0, 0, 2) }]);
    expect(kernel.moduleTypes.problems).toEqual([expect.stringContaining('bad: malformed BTF header')]);
  });

  it('terminate if the list loops', () => {
    const kernel = kernelWith(
      (base) => [
        { name: 'a', blob: moduleBlob(base, 'a_thing') },
        { name: 'b', blob: moduleBlob(base, 'b_thing') },
      ],
      (made, entries) => made.memory.writeWord(made.physical(entries[1]!), entries[0]!),
    );
    expect(kernel.moduleTypes.modules).toHaveLength(2);
    expect(kernel.moduleTypes.problems).toEqual(['list btf_modules does not terminate (loop?)']);
  });
});
