import type { AllocationRecord } from '../../account/allocation-record.js';
import { anyCategoryWords } from '../../account/memory/category-names.js';
import type { Identity } from '../../account/whatis.js';
import { escapeText } from '../../base/escape.js';
import { formatCount } from '../../base/size.js';
import { hex, jsonOf } from '../../base/util.js';
import type { Identified } from '../../contracts/object.js';
import { kernelIdentity } from '../../kernel/identity.js';
import type { KernelFacts } from '../../kernel/kernel.js';
import type { Warning } from '../../walk/warnings.js';
import { siteFrameJson, siteName } from '../leaks/site-words.js';
import { wrap } from '../text/cut.js';
import type { WhatisJson } from './schema.js';

/** Identities of addresses of one kernel. */
export interface WhatisAnswer {
  readonly kernel: KernelFacts;
  readonly identities: readonly Identity[];
  /** Whether each was requested as a page frame, `pfn:N`. */
  readonly byFrame: readonly boolean[];
  readonly complete: boolean;
  readonly warnings: readonly Warning[];
}

export function whatisJson({ kernel, identities, complete, warnings }: WhatisAnswer): WhatisJson {
  return {
    schema: 'kdump-mem.whatis/1',
    kernel: kernelIdentity(kernel),
    identities: identities.map(identityJson),
    complete,
    warnings: [...warnings],
  };
}

type IdentityJson = WhatisJson['identities'][number];

export function identityJson(identity: Identity): IdentityJson {
  const { address, physical, frame, category, object, site } = identity;
  return {
    address: hex(address),
    physical: physical === null ? null : hex(BigInt(physical)),
    frame,
    category,
    object: jsonOf(object),
    site: site && siteJson(site),
  };
}

export function siteJson(site: AllocationRecord): NonNullable<IdentityJson['site']> {
  return { ...site, frames: site.frames.map(siteFrameJson) };
}

/** One line for each address, and one for its page. */
export function whatisText({ identities, byFrame }: WhatisAnswer, width: number | null): string {
  const text = (one: Identity, index: number) =>
    identityText(one, byFrame[index] === true).flatMap((line) => wrap(line, width));
  return identities.map((one, index) => text(one, index).join('\n')).join('\n\n');
}

/** What an address is part of, in a phrase. */
export function identityWords({ frame, object, category }: Pick<Identity, 'frame' | 'object' | 'category'>): string {
  if (object === null) return frame === null ? 'not mapped' : 'unknown';
  const words = objectWords(object);
  if (object.kind !== 'page') return words;
  if (category?.startsWith('free')) return `free page, in category “${anyCategoryWords(category)}”`;
  return `${words}, ${category === null ? 'category unknown' : `in category “${anyCategoryWords(category)}”`}`;
}

function identityText(identity: Identity, byFrame: boolean): string[] {
  const { address, physical, frame, category, object, site } = identity;
  const place = byFrame ? `pfn:${frame} (${hex(address)})` : hex(address);
  const lines = [`${place}: ${identityWords(identity)}.`];
  if (frame !== null && physical !== null) {
    const of = category === null ? 'unknown' : anyCategoryWords(category);
    lines.push(
      `  Page frame ${frame} (${hex(BigInt(frame))}), physical address ${hex(BigInt(physical))}.${object?.kind === 'page' ? '' : ` Category: ${of}.`}`,
    );
  }
  if (byFrame && object?.kind === 'slab-object')
    lines.push('  The page may contain other objects of this cache: this one is at its first byte.');
  if (site !== null) lines.push(...siteText(site));
  return lines;
}

/** Number of functions that a site shows. */
const SHOWN_FRAMES = 6;

/** Who allocated it and when, and the stack without the allocator’s own functions. */
function siteText({ of, frames, pid, comm, seconds, tgid }: AllocationRecord): string[] {
  const what = of === 'page' ? 'Page' : 'Object';
  const thread = tgid === null || tgid === pid ? '' : ` of process ${tgid}`;
  const by = pid === null ? '' : ` by pid ${pid}${comm === null ? '' : ` (${escapeText(comm)})`}${thread}`;
  const when = seconds === null ? '' : ` ${seconds.toFixed(1)} s after boot`;
  return [`  ${what} allocated${by}${when}: ${siteName({ frames }, SHOWN_FRAMES)}.`];
}

const plus = (offset: number | bigint): string => (Number(offset) === 0 ? '' : `+${hex(BigInt(offset))}`);
const process = (pid: number, comm: string): string => `pid ${pid} (${escapeText(comm)})`;

/** An object in words. */
export function objectWords(object: Identified): string {
  switch (object.kind) {
    case 'symbol': {
      const module = object.module === null ? '' : ` [${escapeText(object.module)}]`;
      const cpu = object.cpu === null ? '' : `, per-CPU variable of CPU ${object.cpu}`;
      return `${escapeText(object.name)}${plus(object.offset)}${module}${cpu}`;
    }
    case 'slab-object': {
      const state = object.state === 'unknown' ? 'object (allocated or free)' : `${object.state} object`;
      const member = object.member === null ? '' : `, member ${escapeText(object.member)}`;
      return `${state} of slab cache ${escapeText(object.cache)} (${formatCount(object.size)} bytes) at ${hex(object.start)}${plus(object.offset)}${member}`;
    }
    case 'slab-padding':
      return `padding of a slab of ${escapeText(object.cache)}, behind its last object`;
    case 'page-struct':
      return `struct page of page frame ${hex(BigInt(object.frame))}${plus(object.offset)}`;
    case 'stack':
      return `kernel stack of ${process(object.pid, object.comm)}, ${formatCount(object.offset)} bytes above its lowest address`;
    case 'vmalloc-area': {
      const caller = object.caller === null ? '' : `, allocated by ${escapeText(object.caller)}`;
      return `vmalloc area at ${hex(object.start)}${plus(object.offset)} (${formatCount(object.size)} bytes with its guard page)${caller}`;
    }
    case 'file-page': {
      const path = object.path === null ? `inode ${object.inode}` : escapeText(object.path);
      return `${path}${object.deleted ? ' (deleted)' : ''} (${escapeText(object.fsType)}), offset ${hex(BigInt(object.offset))}`;
    }
    case 'process-page':
      return `anonymous memory of ${process(object.pid, object.comm)}, at ${hex(object.address)} there`;
    case 'socket-page': {
      const holder = object.pid === null ? '' : ` of ${process(object.pid, object.comm ?? '?')}`;
      return `page in the queue of ${escapeText(object.protocol)} socket ${hex(object.sock)}${holder}`;
    }
    case 'page':
      return object.order === null || object.order === 0 ? 'page' : `page of an order-${object.order} block`;
  }
}
