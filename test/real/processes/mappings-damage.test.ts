import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { kernelProcesses, surveyProcesses } from '../../../src/account/processes/kernel.js';
import { mappingsOf } from '../../../src/account/processes/mappings.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { KIND } from '../../../src/walk/memory/page-kinds.js';
import { addressSpaces } from '../../../src/walk/processes/address-spaces.js';
import { ProcessAreaReader } from '../../../src/walk/processes/process-areas.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { kernelWith, memoryOf, UNDAMAGED } from '../../support/damaged-kernel.js';
import { KERNELS } from '../../support/lab.js';
import { dumpKernel } from '../../support/opened-kernel.js';

/**
 * Bytes without a second fact: a wrong value is reported as complete. Paths of members, with the
 * wrong part of the answer.
 */
const UNDETECTABLE: Readonly<Record<string, string>> = {
  'vm_area_struct.vm_pgoff': 'offset of a mapping without resident pages',
  'vm_area_struct.vm_file': 'file name of a mapping without resident pages',
  'vm_area_struct.vm_flags': 'permissions (no counter covers r and s), locked state, and kind',
  'vm_area_struct.vm_ops': 'whether the mapping is the vdso',
  'vm_area_struct.vm_private_data': 'which vdso mapping it is',
  'mm_struct.start_brk': 'which mapping is the heap',
  'mm_struct.brk': 'which mapping is the heap',
  'mm_struct.start_stack': 'which mapping is the stack',
};

/** Members that mappings are read from. */
const MEMBERS = {
  mm_struct: [
    'mm_mt.ma_root',
    'mmap',
    'map_count',
    'total_vm',
    'locked_vm',
    'data_vm',
    'exec_vm',
    'stack_vm',
    'start_brk',
    'brk',
    'start_stack',
  ],
  vm_area_struct: [
    'vm_start',
    'vm_end',
    'vm_next',
    'vm_prev',
    'vm_mm',
    'vm_flags',
    'vm_pgoff',
    'vm_file',
    'vm_ops',
    'vm_private_data',
  ],
} as const;

const words = (value: unknown): string =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one));

/** Addresses of the nodes of a maple tree whose root has the node mark. */
function* nodesOf(kernel: NativeKernel, mm: bigint): Generator<bigint> {
  const { has, addressOf, read } = memoryOf(kernel);
  if (!has('mm_struct.mm_mt.ma_root')) return;
  const next = [read(mm, 'mm_struct.mm_mt.ma_root')];
  for (let link = next.pop(); link !== undefined; link = next.pop()) {
    const node = link & ~0xffn;
    yield node;
    if (((link >> 3n) & 15n) !== 3n) continue;
    for (let index = 0; index < 10; index++) {
      const entry = read(addressOf(node, 'maple_node.ma64.slot') + BigInt(8 * index));
      // Old data follows the last one.
      if (entry > 4096n && (entry & 7n) === 4n && (entry & ~0xffn) !== node) next.push(entry);
    }
  }
}

describe.each(KERNELS)('damage to the data structures of mappings: %s', (version) => {
  const { kernel, set, damagedBy } = dumpKernel(version);
  const survey = surveyProcesses(kernel, () => {});
  const reader = new ProcessAreaReader(kernel);
  // The sleeping process with the most mappings: they fill more than one node.
  const [space] = survey.spaces
    .filter(({ running }) => !running)
    .map((one) => ({ ...one, mappings: reader.read(one.mm).areas.length }))
    .sort((a, b) => b.mappings - a.mappings);
  if (!space) throw new Error('no process rests');
  const { areas } = reader.read(space.mm);

  const answered = (address: bigint, flip: number) => {
    const byte = kernel.read(address, 1).getUint8(0) ^ flip;
    const damaged = damagedBy(set(address, 1, byte));
    const warnings = new Warnings();
    try {
      const mappings = mappingsOf(damaged, space, survey, warnings);
      return { figures: words(mappings), said: warnings.list().length > 0 };
    } catch (error) {
      return { figures: String(error), said: true };
    }
  };
  const sound = () => {
    const warnings = new Warnings();
    const mappings = mappingsOf(damagedBy(UNDAMAGED), space, survey, warnings);
    expect(warnings.list()).toEqual([]);
    return words(mappings);
  };

  /** Bytes that make the answer wrong without a warning. */
  const silent = (places: Iterable<readonly [string, bigint, number]>) => {
    const truth = sound();
    const found = new Set<string>();
    let tried = 0;
    for (const [name, at, length] of places)
      for (let index = 0; index < length; index++)
        for (const flip of [1, 0x10, 0x80]) {
          tried++;
          const { figures, said } = answered(at + BigInt(index), flip);
          if (!said && figures !== truth) found.add(name);
        }
    expect(tried).toBeGreaterThan(100);
    return [...found].sort();
  };

  const membersOf = function* (type: keyof typeof MEMBERS, address: bigint) {
    for (const path of MEMBERS[type]) {
      const member = kernel.struct(type)?.member(path);
      if (member) yield [`${type}.${path}`, address + BigInt(member.offset), member.size] as const;
    }
  };

  test('in an address space or a mapping is reported, or known to be undetectable', () => {
    const places = function* () {
      yield* membersOf('mm_struct', space.mm);
      // One of each: code, data, anonymous memory, shared memory, the stack, the vdso.
      for (const { address } of areas) yield* membersOf('vm_area_struct', address);
    };
    const found = silent(places());
    for (const name of found) expect(Object.keys(UNDETECTABLE)).toContain(name);
  });

  if (version !== '5.10')
    test('in a maple tree is reported', () => {
      const places = [...nodesOf(kernel, space.mm)].map((node) => ['node', node, 256] as const);
      // Up to fifteen mappings are in one node.
      expect(places.length).toBeGreaterThan(areas.length > 15 ? 1 : 0);
      expect(silent(places)).toEqual([]);
    });
});

test('docs/internals/processes.md lists what is undetectable', () => {
  const docs = readFileSync(new URL('../../../docs/internals/processes.md', import.meta.url), 'utf8');
  for (const [member, what] of Object.entries(UNDETECTABLE)) expect(docs).toContain(`| \`${member}\` | ${what} |`);
});

describe('a page table entry that points to another frame of the same kind', () => {
  const { kernel } = dumpKernel('6.1');

  test('is reported by the mapcount of that frame, and by its index', () => {
    const rest = addressSpaces(kernel).filter(({ running }) => !running);
    const ends: { root: bigint; page: number; frame: number }[] = [];
    const survey = surveyProcesses(kernel, () => {});
    for (const one of rest.slice(0, 2)) {
      let found: (typeof ends)[number] | undefined;
      survey.counts.walk(one, {
        page: (page, _pages, frame, index) => {
          const { counts } = survey;
          const own = counts.at(index) === 1 && counts.kindAt(index) === KIND.anonymous;
          if (own && found === undefined) found = { root: one.pgd, page, frame };
        },
      });
      if (found) ends.push(found);
    }
    const [here, other] = ends;
    if (!here || !other) throw new Error('there are no two processes with pages of their own');
    const bent = kernelWith(kernel, {
      userPages: (root, visitor) =>
        kernel.userPages(root, {
          ...visitor,
          page: (page, pages, frame, marks) =>
            visitor.page(page, pages, root === here.root && page === here.page ? other.frame : frame, marks),
        }),
    });
    const answer = kernelProcesses(bent);
    expect(answer.complete).toBe(false);
    expect(answer.warnings.map(({ message }) => message).join('\n')).toContain(
      `page frame ${other.frame} counts 1 mappings, but page tables have 2`,
    );
  });
});
