import { anyCategoryWords } from '../../account/memory/category-names.js';
import { escapeText } from '../../base/escape.js';
import { formatCount } from '../../base/size.js';
import { hex } from '../../base/util.js';
import type { Identified } from '../../contracts/object.js';
import type { AllocationRecord, Identity, WhatisAnswer } from '../../contracts/whatis.js';
import { siteName } from '../leaks/site-words.js';
import type { Block } from '../text/blocks.js';

/** @param byFrame whether each address was requested as a page frame, `pfn:N` */
export function whatisBlocks({ identities }: WhatisAnswer, byFrame: readonly boolean[]): Block[] {
  return identities.map((identity, index) => identityText(identity, byFrame[index] === true).join('\n'));
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
      `  Page frame ${frame} (${hex(BigInt(frame))}), physical address ${hex(physical)}.${object?.kind === 'page' ? '' : ` Category: ${of}.`}`,
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
      const holder = object.pid === null ? '' : ` of ${process(object.pid, object.comm ?? 'name unknown')}`;
      return `page in the queue of ${escapeText(object.protocol)} socket ${hex(object.sock)}${holder}`;
    }
    case 'page':
      return object.order === null || object.order === 0 ? 'page' : `page of an order-${object.order} block`;
  }
}
