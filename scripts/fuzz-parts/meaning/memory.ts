import { accountMemory } from '../../../src/account/memory/memory.js';
import { accountAll } from '../../../src/account/sockets.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import type { CategoryJson, MemoryJson } from '../../../src/contracts/memory.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { KINDS } from '../../../src/records/page-kinds.js';
import { scanFrames } from '../../../src/walk/memory/frame-scan.js';
import { FrameMap } from '../../../src/walk/memory/page-array.js';
import { ramRanges } from '../../../src/walk/memory/ram.js';
import { struct } from '../../../src/walk/pages/struct-page.js';
import type { Command, Said } from './answers.js';
import type { Frame } from './recording.js';

/** Struct pages of each kind that are damaged. */
const OF_EACH = 25;

/** `memory`: what it reads beyond the sockets, and struct pages of every kind of page. */
export const MEMORY = {
  commands: (): Command[] => [{ name: 'memory', ask }],
  before: (kernel: Kernel): void => void accountAll(kernel),
  frames: framesOfEachKind,
};

/** `memory --by site`: areas by caller, and what page_owner, profiling and SLUB recorded. */
export const SITES = {
  commands: (): Command[] => [
    {
      name: 'memory --by site',
      ask(kernel) {
        const answer = accountMemory(kernel, undefined, { sites: true });
        const { sites } = memoryJson(answer);
        const sources = sites?.map(({ sites: all, ...source }) => ({
          ...source,
          sites: all.map((site) => ({ key: JSON.stringify(site), ...site })),
        }));
        return { json: { sources }, complete: answer.complete && answer.warnings.length === 0 };
      },
    },
  ],
  before: (kernel: Kernel): void => void accountMemory(kernel),
  frames: () => new Map(),
};

function ask(kernel: Kernel): Said {
  const answer = accountMemory(kernel, undefined, { files: true, cgroups: true, counted: true });
  const { memory, caches, callers, zones, files, cgroups, ...json } = memoryJson(answer);
  return {
    json: {
      ...json,
      categories: byName(flat(memory), ({ category }) => category),
      caches: byName(caches, ({ name }) => name),
      callers: byName(callers, ({ caller, category }) => `${caller} ${category}`),
      zones: byName(zones, ({ node, zone }) => `${node} ${zone}`),
      files: {
        unnamed: files?.unnamed.map((one) => ({ key: one.reason, ...one })),
        files: files?.files.map((one) => ({ key: `${one.device} ${one.inode}`, ...one })),
      },
      cgroups: cgroups && {
        cgroups: cgroups.cgroups.map((one) => ({ key: one.path, ...one, ...charged(one) })),
        uncharged: charged(cgroups.uncharged),
        slabs: charged(cgroups.slabs),
        unnamed: cgroups.unnamed.map((one) => ({ key: one.reason, ...one, ...charged(one) })),
        empty: cgroups.empty,
      },
    },
    complete: answer.complete && answer.warnings.length === 0,
  };
}

type Charged = NonNullable<MemoryJson['cgroups']>['uncharged'];

function charged({ bytes, categories }: Charged) {
  return { bytes, categories: byName(categories, ({ category }) => category) };
}

function flat({ children, ...category }: CategoryJson): Omit<CategoryJson, 'children'>[] {
  return [category, ...children.flatMap(flat)];
}

/** So that what differs is told by its name. */
function byName<T extends object>(all: readonly T[], nameOf: (one: T) => string) {
  const named: Record<string, T> = {};
  for (const one of all) named[nameOf(one)] = one;
  return named;
}

/** Some frames of each kind, and all words of their struct pages that say what they are. */
function framesOfEachKind(kernel: Kernel): ReadonlyMap<number, Frame> {
  const map = new FrameMap(ramRanges(kernel));
  const { kinds } = scanFrames(kernel, map);
  const byKind = KINDS.map((): number[] => []);
  for (const [index, kind] of kinds.entries()) byKind[kind]?.push(index);
  const page = struct(kernel, 'page');
  const words = ['flags', 'mapping', 'private', '_mapcount', '_refcount', 'page_type', 'memcg_data'];
  const head = page.member('compound_info') ? 'compound_info' : 'compound_head';
  const offsets = new Set([...words, head].flatMap((path) => page.member(path)?.offset ?? []));
  const frames = new Map<number, Frame>();
  for (const own of byKind) {
    const step = Math.max(1, Math.floor(own.length / OF_EACH));
    for (let at = 0; at < own.length; at += step) {
      const frame = map.frameAt(own[at]!);
      frames.set(frame, { order: false, offsets, readBy: new Set([0]) });
    }
  }
  return frames;
}
