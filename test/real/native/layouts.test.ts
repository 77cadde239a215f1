import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { KernelError } from '../../../src/base/errors.js';
import { Kind } from '../../../src/kernel/native/btf/format.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { KERNELS } from '../../support/lab.js';
import { askDrgn, dumpFile } from './real-kernels.js';

/** [bit offset, bits, bytes, elements (-1: no array, -2: an array of arrays), pointer] */
type DrgnMember = [number, number, number, number, boolean];

/** Every fifth struct of the kernel, and those that the socket walks need. */
function someStructs(kernel: NativeKernel): string[] {
  const btf = kernel.types.base;
  const times = new Map<string, number>();
  for (let id = btf.firstId; id < btf.endId; id++) {
    if (btf.kind(id) !== Kind.STRUCT || btf.anonymous(id) || btf.vlen(id) === 0) continue;
    times.set(btf.name(id), (times.get(btf.name(id)) ?? 0) + 1);
  }
  // Of several structs with one name drgn uses the first, and we use what they agree in.
  const names = [...times].flatMap(([name, count], index) => (index % 5 === 0 && count === 1 ? [name] : []));
  const walked = 'sk_buff sock tcp_sock udp_sock unix_sock task_struct skb_shared_info page inode file';
  return [...new Set([...names, ...walked.split(' '), 'socket', 'net', 'kmem_cache', 'xa_node'])];
}

describe.each(KERNELS)('layouts of %s', (version) => {
  it('match its debug information, member by member', () => {
    const kernel = openNative({ files: [dumpFile(version, 'kdump-zlib')] });
    const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-layouts-'));
    const list = join(folder, 'names');
    writeFileSync(list, someStructs(kernel).join('\n'));
    const dump = { name: version, kernel: version };
    const truth = askDrgn<Record<string, [number, Record<string, DrgnMember>]>>(dump, './layouts.py', list);
    rmSync(folder, { recursive: true });

    let compared = 0;
    for (const [name, [size, members]] of Object.entries(truth)) {
      let layout: ReturnType<typeof kernel.struct>;
      try {
        layout = kernel.struct(name);
      } catch (error) {
        // Several structs with that name: drgn uses the first, we use none.
        if (error instanceof KernelError && error.code === 'unsupported-layout') continue;
        throw error;
      }
      expect(layout?.size, name).toBe(size);
      expect(layout?.members, name).toEqual(Object.keys(members));
      for (const [member, [bitOffset, bits, bytes, count, pointer]] of Object.entries(members)) {
        const ours = layout!.member(member)!;
        const path = `${name}.${member}`;
        expect(ours.offset * 8 + (ours.bits?.offset ?? 0), path).toBe(bitOffset);
        expect(ours.bits?.size ?? 0, path).toBe(bits);
        if (bits === 0) expect(ours.size, path).toBe(bytes);
        if (count !== -2) expect(ours.count ?? -1, path).toBe(count);
        if (count === -1) expect(ours.pointer, path).toBe(pointer);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(5_000);
    kernel.close();
  });
});
