import type { MemoryAnswer } from '../../../src/account/memory/answer.js';
import { answerOf } from './answer.js';

/** Names that a dump may contain, and that are interpreted wherever they are not escaped. */
export const HOSTILE = [
  '<script>alert(1)</script>',
  '</style></title><script>alert(2)</script>',
  '"><img src=x onerror=alert(3)>',
  "' onfocus='alert(4)' autofocus='",
  '--><svg/onload=alert(5)>',
  ']]><!--',
  '&lt;b&gt; &amp; &#60;i&#62;',
  '\u202egnp.exe\u2066',
  'a\u0000b\u001b[31mc\r\nd\u0007',
  '\ud800\udc80\u200b\u2028',
  '@import url(https://example.org/x.css);}*{display:none',
  '漢字🙂'.repeat(20),
  'x'.repeat(300),
] as const;

const PAGE = 4096;

/** An answer with a name in every place that can have one. */
export function answerWith(names: readonly string[]): MemoryAnswer {
  const bytes = 64 * PAGE;
  const callers = names.map((caller) => ({ caller, bytes, category: 'vmalloc' }));
  const owners = names.map((name) => ({ kind: 'caller', name, bytes }) as const);
  const caches = names.map((name, index) => ({
    name,
    reclaimable: index % 2 === 0,
    bytes,
    slabs: 64,
    slots: 640,
    used: 600,
    objectSize: 256,
    slotSize: 256,
  }));
  const frames = 64 * names.length;
  const answer = answerOf(
    {
      'free-buddy': 3 * frames,
      anonymous: frames,
      vmalloc: frames,
      unattributed: 7,
      'slab-reclaimable': 64 * Math.ceil(names.length / 2),
      'slab-unreclaimable': 64 * Math.floor(names.length / 2),
    },
    { owners, complete: false, why: names.join(' ') },
  );
  return {
    ...answer,
    callers,
    caches,
    zones: names.map((zone, node) => ({
      node,
      zone,
      presentPages: 9,
      managedPages: 9,
      freePages: 5,
      freeBlocks: [1, 2],
      watermarks: null,
    })),
    unattributed: {
      sizes: [],
      zones: names.map((zone) => ({ zone, frames: 1 })),
      chargedBytes: 0,
      largeKmallocBytes: null,
    },
    complete: false,
    warnings: names.map((message) => ({ code: 'unreadable' as const, count: 1, message })),
  };
}
