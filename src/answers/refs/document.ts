import { anyCategoryWords } from '../../account/memory/category-names.js';
import { placeOf } from '../../account/references/holders.js';
import type { ReferenceGroup } from '../../account/references/references.js';
import type { RefsFound } from '../../account/references/search.js';
import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize } from '../../base/size.js';
import { hex } from '../../base/util.js';
import type { Place, RefsAnswer } from '../../contracts/refs.js';
import { kernelIdentity } from '../../kernel/identity.js';
import type { Form } from '../../records/references.js';

import { type Block, tableBlock } from '../text/blocks.js';
import type { Column } from '../text/table.js';
import { identityWords } from '../whatis/document.js';

function unreferenced({ found }: RefsFound): number {
  return found.perTarget.reduce((sum, references) => sum + (references === 0 ? 1 : 0), 0);
}

/** Returns the answer to `refs`, with as many targets, groups and references as were requested. */
export function refsAnswer(all: RefsFound): RefsAnswer {
  const { kernel, found, targetCount, targetAt, limit, complete, warnings } = all;
  return {
    schema: 'kdump-mem.refs/1',
    kernel: kernelIdentity(kernel),
    targets: Array.from({ length: Math.min(limit, targetCount) }, (_, number) => targetAt(number)),
    targetCount,
    unreferencedTargets: unreferenced(all),
    counts: found.counts,
    groups: found.groups.slice(0, limit).map(({ holder, ...group }) => ({ holder: placeOf(holder), ...group })),
    groupCount: found.groups.length,
    references: found.references.map(({ target, holder, ...reference }) => ({
      ...reference,
      target: targetAt(target).address,
      holder,
    })),
    ramBytes: found.ramBytes,
    scannedBytes: found.scannedBytes,
    unscanned: found.unscanned,
    complete,
    warnings,
  };
}

/** A sentence, the groups of holders, and the first references, without those inside the targets. */
export function refsBlocks(answer: RefsFound): Block[] {
  const { found, limit } = answer;
  const all = found.groups.filter(({ source }) => source !== 'target');
  const groups = all.slice(0, limit);
  const columns = groups.some(({ source }) => source !== 'kernel') ? [...GROUPS, STATE] : GROUPS;
  const others = found.references.filter(({ source }) => source !== 'target');
  const lines = others.map(({ address, form, target, holder }) => {
    const to = hex(answer.targetAt(target).address);
    return `${hex(address)} (${FORM_WORDS[form]} ${to}): ${identityWords(holder)}`;
  });
  return [
    headline(answer),
    ...(groups.length > 0 ? [tableBlock('Holders', columns, groups)] : []),
    ...(all.length > limit ? [moreWords(all, limit)] : []),
    ...(groups.some(({ holder }) => holder.kind === 'slab-object' && holder.member === null) ? [MERGED] : []),
    ...(lines.length > 0 ? [[`${listedWords(answer, lines.length)}:`, ...lines].join('\n')] : []),
    scannedWords(answer),
  ];
}

const MERGED =
  'The kernel may merge slab caches: objects without a named member can be of another type than their cache says.';

/** Returns `All 8 references`, or `20 of 57 references`. */
function listedWords({ found: { counts } }: RefsFound, listed: number): string {
  const all = counts.kernel + counts.user + counts.free;
  return listed === all
    ? `All ${formatCount(all)} references`
    : `${formatCount(listed)} of ${formatCount(all)} references`;
}

/** Forms in the table of groups. */
const FORM_HEADS: Readonly<Record<Form, string>> = {
  pointer: 'to the start',
  tagged: 'to the start, tagged',
  interior: 'into the target',
  page: 'to the struct page',
};

const FORM_WORDS: Readonly<Record<Form, string>> = {
  pointer: 'pointer to',
  tagged: 'tagged pointer to',
  interior: 'pointer into',
  page: 'pointer to the struct page of',
};

function headline(answer: RefsFound): string {
  const { found, targetCount } = answer;
  const { kernel, user, free, target } = found.counts;
  const others = [
    [free, 'in free memory'],
    [user, 'in data of processes and files'],
    [target, `inside the target${targetCount === 1 ? ' itself' : 's themselves'} (listed with --json)`],
  ] as const;
  const more = others.filter(([count]) => count > 0).map(([count, words]) => `${formatCount(count)} ${words}`);
  const none = unreferenced(answer);
  const only = targetCount === 1 ? answer.targetAt(0) : undefined;
  const targets =
    only === undefined
      ? `${formatCount(targetCount)} targets`
      : `1 target (${formatCount(only.bytes)} bytes at ${hex(only.address)})`;
  const sentences = [
    kernel === 0
      ? `No stored pointer to ${targetCount === 1 ? 'the target' : `the ${targets}`} was found in the kernel’s memory. Addresses in machine code, frame numbers and physical addresses are not searched for: the target may be in use.`
      : `${count(kernel, 'reference')} from the kernel’s memory to ${targets}.`,
    ...(targetCount > 1 && none > 0 ? [`Unreferenced: ${formatCount(none)} targets.`] : []),
    ...(more.length > 0 ? [`Not in this number: ${more.join(', ')}.`] : []),
    ...(kernel > 0 ? ['A stored pointer can be stale: this is not a reference count.'] : []),
  ];
  return sentences.join(' ');
}

const GROUPS: readonly Column<ReferenceGroup>[] = [
  { heading: 'REFERENCES', align: 'right', value: ({ references }) => formatCount(references) },
  { heading: 'HOLDER', value: ({ holder }) => holderWords(holder), shrinks: { keeps: 'ends', least: 16 } },
  { heading: 'CATEGORY', value: ({ holder }) => (holder.category === null ? '?' : anyCategoryWords(holder.category)) },
  {
    heading: 'FORM',
    value: ({ forms }) =>
      Object.entries(forms)
        .filter(([, count]) => count > 0)
        .map(([form]) => FORM_HEADS[form as Form])
        .join(', '),
    spare: 1,
  },
];

const STATE: Column<ReferenceGroup> = { heading: 'HOLDER STATE', value: ({ source }) => STATES[source] };

/** Counts the listed holders; the headline includes only references of the kernel. */
function moreWords(groups: readonly ReferenceGroup[], listed: number): string {
  const counted = groups
    .slice(0, listed)
    .reduce((sum, { source, references }) => sum + (source === 'kernel' ? references : 0), 0);
  return `${formatCount(listed)} of ${formatCount(groups.length)} holders are listed, with ${formatCount(counted)} of these references: --limit N lists more.`;
}

const STATES: Readonly<Record<ReferenceGroup['source'], string>> = {
  kernel: 'in use',
  user: 'user data',
  free: 'free',
  target: 'target itself',
};

/** Names places that are alike: `kmalloc-2k object + 0x48`. */
export function holderWords({ kind, name, offset, member, category }: Place): string {
  const named = name === null ? '?' : escapeText(name);
  const at = offset === null ? '' : ` + ${hex(BigInt(offset))}`;
  switch (kind) {
    case 'slab-object':
      return `${named} object${at}${member === null ? '' : ` (${escapeText(member)})`}`;
    case 'slab-padding':
      return `padding of ${named}`;
    case 'symbol':
      return `variable ${named}`;
    case 'page-struct':
      return `struct page${at}`;
    case 'stack':
      return 'kernel stacks';
    case 'vmalloc-area':
      return `vmalloc area of ${named}`;
    case 'unknown':
      return 'unknown';
    default:
      return category === null ? 'other pages' : `pages of “${anyCategoryWords(category)}”`;
  }
}

function scannedWords({ found, complete }: RefsFound): string {
  const { ramBytes, scannedBytes, unscanned } = found;
  const all = `Scanned: ${formatSize(scannedBytes)} of ${formatSize(ramBytes)}`;
  if (unscanned.length === 0) return `${all}.`;
  const missing = unscanned.slice(0, 4).map(({ category, bytes }) => {
    return `${category === null ? 'unknown' : anyCategoryWords(category)} ${formatSize(bytes)}`;
  });
  const more = unscanned.length > 4 ? ', …' : '';
  const so = complete ? '' : ' More references may exist.';
  return `${all}. Not scanned: ${missing.join(', ')}${more}.${so}`;
}
