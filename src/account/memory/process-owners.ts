import type { ReadError } from '../../kernel/error.js';
import type { Kernel, UserPages } from '../../kernel/kernel.js';
import type { FrameMap } from '../../walk/memory/frame-map.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import {
  type AddressSpace,
  addressSpaces,
  spaceName,
} from '../../walk/processes/address-spaces.js';
import { ResidentCountReader } from '../../walk/processes/resident-counts.js';
import type { Warnings } from '../../walk/warnings.js';
import type { Owner } from './drawer.js';
import { codeOf } from './missed.js';

/** Drawers whose frames processes map, and no file tells of. */
export interface ProcessOwners {
  readonly anonymous: readonly Owner[];
  readonly hugetlb: readonly Owner[];
}

const NOBODY = 0;
const SEVERAL = 1;
/** Of the first address space. */
const FIRST = 2;

/**
 * Which processes map the anonymous pages and huge pages of a machine, by their page tables. What several
 * map, which share no memory otherwise (after fork), is of none of them alone.
 *
 * @param kinds of each frame, as {@link scanFrames} gives them
 */
export function processOwners(
  kernel: Kernel,
  frames: FrameMap,
  kinds: Uint8Array,
  warnings: Warnings,
): ProcessOwners {
  const none: ProcessOwners = { anonymous: [], hugetlb: [] };
  if (!kernel.userPages) return none;
  try {
    const spaces = addressSpaces(kernel, ({ pid }, error) =>
      warnings.add(
        codeOf(error),
        `pid ${pid}: whose anonymous memory is: ${(error as Error).message}`,
      ),
    );
    const owners = new Uint32Array(frames.size);
    const reader = new ResidentCountReader(kernel);
    for (const [index, space] of spaces.entries()) {
      try {
        const mapped = new Mapped(frames, kinds, owners, FIRST + index);
        kernel.userPages(space.pgd, mapped);
        if (mapped.lost) throw mapped.lost;
        const { anonymous: counted } = reader.read(space);
        // Pages are counted and mapped under one lock: only who runs may be between the two.
        if (!kernel.facts.live && !space.running && counted !== mapped.anonymous)
          warnings.add(
            'corrupt',
            `${spaceName(space)} counts ${counted} anonymous pages, and its page tables map ${mapped.anonymous}`,
          );
      } catch (error) {
        const message = `${spaceName(space)}: whose anonymous memory is: ${(error as Error).message}`;
        warnings.add(codeOf(error), message);
      }
    }
    const { pageSize } = kernel.facts;
    return {
      anonymous: sums(spaces, owners, kinds, KIND.anonymous, pageSize),
      hugetlb: sums(spaces, owners, kinds, KIND.hugetlb, pageSize),
    };
  } catch (error) {
    warnings.add(codeOf(error), `whose anonymous memory is: ${(error as Error).message}`);
    return none;
  }
}

/** Notes who maps a frame. */
class Mapped implements UserPages {
  /** Base pages that count as anonymous. */
  anonymous = 0;
  /** Why a table could not be read. */
  lost: ReadError | undefined;
  readonly #frames: FrameMap;
  readonly #kinds: Uint8Array;
  readonly #owners: Uint32Array;
  readonly #own: number;

  constructor(frames: FrameMap, kinds: Uint8Array, owners: Uint32Array, own: number) {
    this.#frames = frames;
    this.#kinds = kinds;
    this.#owners = owners;
    this.#own = own;
  }

  page(_page: number, pages: number, frame: number): void {
    const first = this.#frames.indexOf(frame);
    if (first < 0) return;
    const last = Math.min(first + pages, this.#kinds.length);
    for (let index = first; index < last; index++) {
      const kind = this.#kinds[index];
      if (kind === KIND.anonymous || kind === KIND['swap-cache']) this.anonymous++;
      const owner = this.#owners[index];
      if (owner === NOBODY) this.#owners[index] = this.#own;
      else if (owner !== this.#own) this.#owners[index] = SEVERAL;
    }
  }

  missing(_page: number, _pages: number, error: ReadError): void {
    this.lost ??= error;
  }

  table(): void {}
  absent(): void {}
}

function sums(
  spaces: readonly AddressSpace[],
  owners: Uint32Array,
  kinds: Uint8Array,
  kind: number,
  pageSize: number,
): Owner[] {
  const frames = new Array<number>(spaces.length + FIRST).fill(0);
  for (let index = 0; index < owners.length; index++)
    if (kinds[index] === kind) frames[owners[index]!]!++;
  const several: Owner = {
    kind: 'process',
    name: '(several processes)',
    bytes: (frames[SEVERAL] ?? 0) * pageSize,
  };
  const own = spaces.map(({ processes }, index): Owner => {
    const [first] = processes;
    return {
      kind: 'process',
      name: first?.comm ?? '',
      ...(first === undefined ? {} : { pid: first.pid }),
      bytes: (frames[index + FIRST] ?? 0) * pageSize,
    };
  });
  return [...own, several].filter(({ bytes }) => bytes > 0);
}
