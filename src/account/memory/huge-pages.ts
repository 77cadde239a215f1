import { ReadError, readOrNot } from '../../base/errors.js';
import { eachRun } from '../../base/util.js';
import type { HugePages } from '../../contracts/memory.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readFresh } from '../../walk/live-reads.js';
import { type FrameScan, MAPPINGS } from '../../walk/memory/frame-scan.js';
import type { FrameMap } from '../../walk/memory/page-array.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import { FolioMapcounts } from '../../walk/processes/mapped-page.js';
import type { Warnings } from '../../walk/warnings.js';
import { attempted, codeOf } from './missed.js';
import type { Owner } from './tree.js';

/** A process, or several; the same object for each of its pages. */
export type MappedBy = Pick<Owner, 'name' | 'pid'>;

/** Number of anonymous base pages in transparent huge pages and other large folios, without their content. */
export function anonymousInFolios({ kinds, mappings }: FrameScan): number {
  let pages = 0;
  eachRun(kinds, (kind, start, end) => {
    if (kind !== KIND.anonymous) return;
    for (let index = start; index < end; index++) if (mappings[index] === MAPPINGS.unknown) pages++;
  });
  return pages;
}

/**
 * Reads the content of all large anonymous folios, and counts base pages that contain only zeros.
 *
 * @param mappedBy the processes that map a frame, by its index
 */
export function hugePages(
  kernel: Kernel,
  { frames, scan }: { readonly frames: FrameMap; readonly scan: FrameScan },
  mappedBy: (index: number) => MappedBy | undefined,
  progress: (part: number) => void,
  warnings: Warnings,
): HugePages | undefined {
  return attempted(warnings, 'huge pages', () => {
    const folios = new FolioMapcounts(kernel);
    const contents = new Contents(kernel);
    const { pageSize, live } = kernel.facts;
    const sums = new Map<MappedBy | null, Sum>();
    const { kinds, mappings } = scan;
    for (let index = 0; index < kinds.length; index++) {
      if (index % 2 ** 16 === 0) progress(index / kinds.length);
      // A page by itself counts its mappings.
      if (mappings[index] !== MAPPINGS.unknown || !isAnonymous(kinds[index])) continue;
      const frame = frames.frameAt(index);
      const pagesOf = () => readOrNot(() => folios.of(frame, true))?.pages;
      const huge = pagesOf();
      const isFolio = huge !== undefined && frames.indexOf(frame + huge - 1) === index + huge - 1;
      // What begins no folio that can be read is unread, page by page.
      const pages = isFolio ? huge : 1;
      const read = isFolio ? contents.zeros(frame, pages) : { zero: 0, unread: 1 };
      // One that was split or freed meanwhile contains other data.
      const isSame = !live || readFresh(kernel, pagesOf) === huge;
      const { zero, unread } = isSame ? read : { zero: 0, unread: pages };
      const owner = ownerOf(mappedBy, index, pages);
      const sum = sums.get(owner) ?? { folios: 0, pages: 0, zero: 0, unread: 0 };
      sums.set(owner, sum);
      sum.folios += isFolio ? 1 : 0;
      sum.pages += pages;
      sum.zero += zero;
      sum.unread += unread;
      index += pages - 1;
    }
    const all = { folios: 0, pages: 0, zero: 0, unread: 0 };
    for (const sum of sums.values()) for (const key of KEYS) all[key] += sum[key];
    if (all.unread > 0) {
      const why =
        contents.whyUnread?.message ??
        (live ? 'huge pages were split or freed while they were read' : 'their size is not readable');
      const code = contents.whyUnread ? codeOf(contents.whyUnread) : 'unreadable';
      warnings.add(code, `content of ${all.unread} of ${all.pages} base pages of huge pages: ${why}`);
    }
    const owners = [...sums].map(([owner, sum]) => ({
      pid: owner?.pid ?? null,
      comm: owner?.name ?? null,
      ...figures(sum, pageSize),
    }));
    return {
      ...figures(all, pageSize),
      owners: owners.toSorted((a, b) => b.zeroBytes - a.zeroBytes || b.bytes - a.bytes),
    };
  });
}

interface Sum {
  folios: number;
  pages: number;
  zero: number;
  unread: number;
}

const KEYS = ['folios', 'pages', 'zero', 'unread'] as const;

function figures({ folios, pages, zero, unread }: Sum, pageSize: number): Omit<HugePages, 'owners'> {
  return { folios, bytes: pages * pageSize, zeroBytes: zero * pageSize, unreadBytes: unread * pageSize };
}

function isAnonymous(kind: number | undefined): boolean {
  return kind === KIND.anonymous || kind === KIND['swap-cache'];
}

/** The first owner of a page of a folio: the first pages may be unmapped. */
function ownerOf(mappedBy: (index: number) => MappedBy | undefined, first: number, pages: number): MappedBy | null {
  for (let index = first; index < first + pages; index++) {
    const owner = mappedBy(index);
    if (owner) return owner;
  }
  return null;
}

/** Reads physical pages. */
class Contents {
  whyUnread: ReadError | undefined;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Number of base pages of a folio that contain only zeros, and of those that cannot be read. */
  zeros(frame: number, pages: number): Pick<Sum, 'zero' | 'unread'> {
    const { pageSize } = this.#kernel.facts;
    const counts = { zero: 0, unread: 0 };
    for (let at = 0; at < pages; at++) {
      const view = this.#page(frame + at);
      if (view === undefined) counts.unread++;
      else if (isZero(view, pageSize)) counts.zero++;
    }
    return counts;
  }

  #page(frame: number): DataView | undefined {
    const { facts, physical, pages } = this.#kernel;
    try {
      if (physical) return physical.read(frame * facts.pageSize, facts.pageSize);
      // The direct map has every page of RAM.
      return this.#kernel.read(pages.addressOfPage(pages.pageOfFrame(frame)) ?? 0n, facts.pageSize);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      this.whyUnread ??= error;
      return undefined;
    }
  }
}

function isZero(view: DataView, length: number): boolean {
  for (let at = 0; at < length; at += 8)
    if (view.getUint32(at, true) !== 0 || view.getUint32(at + 4, true) !== 0) return false;
  return true;
}
