import { expect, test } from 'vitest';
import { CgroupReader, nameHash } from '../../../src/walk/tasks/cgroup.js';
import { made, madeKernel } from '../../support/made-kernel.js';
import { errorOf } from '../../support/native-errors.js';

const [TASK, SET] = [0x100, 0x200];
const [ROOT, CPU, MEMORY] = [0x400, 0x500, 0x600];
const NODES = new Map([
  [ROOT, 0x800],
  [CPU, 0x900],
  [MEMORY, 0xa00],
]);
const LINKS = [0xc00, 0xc40, 0xc80];

/** Little-endian words of a text and its terminating NUL. */
function words(at: number, text: string): Record<number, bigint> {
  const bytes = Buffer.alloc(Math.ceil((text.length + 1) / 8) * 8);
  bytes.write(text, 'latin1');
  return Object.fromEntries(
    Array.from({ length: bytes.length / 8 }, (_, index) => [at + index * 8, bytes.readBigUInt64LE(index * 8)]),
  );
}

/** A task in the root of the unified hierarchy, and in /a and /machine of two version 1 controllers. */
function kernelWith({ linked = LINKS }: { readonly linked?: readonly number[] } = {}) {
  const node = (cgroup: number, parent: number, name: string, at: number) => ({
    [NODES.get(cgroup)!]: parent === 0 ? 0n : made(parent),
    [NODES.get(cgroup)! + 8]: made(at),
    [NODES.get(cgroup)! + 16]: [nameHash(Buffer.from(name)), 4] as const,
    [NODES.get(cgroup)! + 24]: made(cgroup),
    ...words(at, name),
  });
  const heads = [SET + 48, ...linked.map((link) => link + 16)];
  const ring = Object.fromEntries(
    heads.flatMap((at, index) => [
      [at, made(heads[(index + 1) % heads.length]!)],
      [at + 8, made(heads[(index + heads.length - 1) % heads.length]!)],
    ]),
  );
  return madeKernel({
    structs: {
      task_struct: { size: 64, members: { cgroups: 0, cg_list: [8, 16] } },
      css_set: {
        size: 96,
        members: { subsys: [0, 24, 3], dfl_cgrp: 24, cgrp_links: [48, 16], tasks: [64, 16], mg_tasks: [80, 16] },
      },
      cgroup_subsys_state: { size: 64, members: { cgroup: 0 } },
      cgroup: { size: 128, members: { self: [0, 64], 'self.parent': 48, kn: 64 } },
      kernfs_node: { size: 64, members: { parent: 0, name: 8, hash: [16, 4], priv: 24 } },
      cgrp_cset_link: { size: 48, members: { cgrp: 0, cset: 8, cgrp_link: [16, 16] } },
    },
    words: {
      [TASK]: made(SET),
      [TASK + 8]: made(SET + 64),
      [TASK + 16]: made(SET + 64),
      // cpu, memory, and a built-in controller that is not mounted.
      [SET]: made(CPU),
      [SET + 8]: made(MEMORY),
      [SET + 24]: made(ROOT),
      ...Object.fromEntries([ROOT, CPU, MEMORY].map((cgroup) => [cgroup, made(cgroup)])),
      ...Object.fromEntries([ROOT, CPU, MEMORY].map((cgroup) => [cgroup + 64, made(NODES.get(cgroup)!)])),
      [CPU + 48]: made(0x700),
      [MEMORY + 48]: made(0x740),
      ...node(ROOT, 0, '', 0xe00),
      ...node(CPU, 0xb00, 'a', 0xe10),
      ...node(MEMORY, 0xb40, 'machine', 0xe20),
      // Roots of the two hierarchies: kernfs nodes without a parent, of the cgroups above.
      [0xb00 + 24]: made(0x700),
      [0xb40 + 24]: made(0x740),
      ...ring,
      ...Object.fromEntries(
        linked.flatMap((link, index) => [
          [link, made([ROOT, CPU, MEMORY][index]!)],
          [link + 8, made(SET)],
        ]),
      ),
    },
  });
}

test('returns the longest version 1 path of a task in the unified root', () => {
  const reader = new CgroupReader(kernelWith());
  expect(reader.path(made(TASK))).toBe('/machine');
  expect([ROOT, CPU, MEMORY].map((cgroup) => reader.pathOf(made(cgroup)))).toEqual(['/', '/a', '/machine']);
});

test('reports a version 1 hierarchy that the css_set is not linked to as damage', () => {
  const kernel = kernelWith({ linked: LINKS.slice(0, 2) });
  expect(errorOf(() => new CgroupReader(kernel).path(made(TASK)))).toMatchObject({
    code: 'damaged',
    message: expect.stringContaining('is not linked to it'),
  });
});
