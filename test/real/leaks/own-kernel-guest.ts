import { expect } from 'vitest';
import type { GuestOptions } from '../../../scripts/lab-parts/guest.mjs';
import { buildOwnKernel, OWN_KERNEL } from '../../../scripts/lab-parts/own-kernel.mjs';
import type { LeaksAnswer } from '../../../src/contracts/leaks.js';
import { type Kind, LeakGuest, type Rates } from './leak-guest.js';
import { kindOf } from './leaks-suite.js';

export const PAGES: Rates = {
  leak_single: 60,
  leak_third: 12,
  leak_fifth: 12,
  leak_parts: 12,
  leak_bulk: 10,
  keep_page: 100,
  ring_page: 40,
  ring_split: 20,
};
export const OBJECTS: Rates = { leak_object: 200, keep_object: 100, ring_object: 40 };
export const AREAS: Rates = { leak_area: 40, ring_area: 40 };

/** Path of each record in the kernel, by a short name. */
export const COPIES = {
  allocinfo: '/proc/allocinfo',
  page_owner: '/sys/kernel/debug/page_owner',
  show_stacks: '/sys/kernel/debug/page_owner_stacks/show_stacks',
  'kmalloc-1k': '/sys/kernel/debug/slab/kmalloc-1k/alloc_traces',
  vmallocinfo: '/proc/vmallocinfo',
} as const;
export type Copy = keyof typeof COPIES;

/**
 * Kinds of the module in each. In allocation profiling an area includes its descriptor, and an
 * object its record if SLUB stores one: the text itself reports these.
 */
export const KINDS_IN: Readonly<Record<Copy, readonly Kind[]>> = {
  allocinfo: ['leak_single', 'leak_third', 'leak_fifth', 'leak_parts', 'leak_bulk'],
  page_owner: ['leak_single', 'leak_third', 'leak_fifth', 'leak_parts', 'leak_bulk'],
  show_stacks: ['leak_single', 'leak_third', 'leak_fifth', 'leak_parts', 'leak_bulk'],
  'kmalloc-1k': ['leak_object'],
  vmallocinfo: ['leak_area'],
};

const MEMORY_MIB = 1536;

/** Enables the kernel's own allocation records. */
export const REMEMBERS = 'page_owner=on slub_debug=U';

export async function bootOwnKernel(append: string, files: GuestOptions['files'] = []): Promise<LeakGuest> {
  buildOwnKernel();
  const guest = await LeakGuest.boot(OWN_KERNEL, { append, files, memoryMiB: MEMORY_MIB });
  await guest.mount();
  return guest;
}

/** Sum over all sites of one of the module's functions. */
export const sumOf = (answer: LeaksAnswer, kind: Kind, of: (site: LeaksAnswer['sites'][number]) => number) =>
  answer.sites.filter((site) => kindOf(site) === kind).reduce((sum, site) => sum + of(site), 0);

/** Nothing that turns over or stays constant is reported. */
export function checkHealthy({ sites }: LeaksAnswer): void {
  const blamed = sites.filter(({ verdict }) => verdict === 'leaking' || verdict === 'growing');
  const kinds = blamed.flatMap((site) => kindOf(site) ?? []);
  expect(kinds.filter((kind) => !kind.startsWith('leak_'))).toEqual([]);
  // Without BTF or addresses, nothing is looked up, so nothing is reported as leaking.
  expect(blamed.filter(({ verdict }) => verdict === 'leaking')).toEqual([]);
}
