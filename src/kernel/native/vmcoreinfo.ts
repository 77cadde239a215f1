import { readOrNot } from '../../base/errors.js';
import type { ByteWindow } from '../bytes.js';
import type { NotedFacts } from '../identity.js';
import type { MemoryImage } from './image/image.js';

/** The note is a page of text; arm64's pages have up to 64 KiB. Later text is ignored. */
const MAX_TEXT = 1 << 17;
const MAX_LINES = 4096;

/** Variables for which SYMBOL() contains the value, not the address. */
export const NOT_ADDRESSES: ReadonlySet<string> = new Set(['mem_section', 'vmemmap']);

/** @param found VMCOREINFO found in memory, if the image contains none */
export function notedIn({ vmcoreinfo: text, facts }: MemoryImage, known?: Vmcoreinfo): NotedFacts {
  const info = known ?? (text === undefined ? undefined : new Vmcoreinfo(text));
  return { release: info?.release ?? facts.release, buildId: info?.buildId, crashTime: info?.crashTime };
}

const DECIMAL = /^-?\d{1,20}$/;
const HEX = /^(?:0x)?[0-9a-f]{1,16}$/i;

/**
 * The kernel's notes for dump readers (Documentation/admin-guide/kdump/ vmcoreinfo.rst). The text comes
 * from the dump and is untrusted: an invalid number counts as missing.
 */
export class Vmcoreinfo {
  readonly #values = new Map<string, string>();

  constructor(text: string) {
    const lines = text.slice(0, MAX_TEXT).split('\0', 1)[0]!.split('\n', MAX_LINES);
    for (const line of lines) {
      const equals = line.indexOf('=');
      if (equals > 0) this.#values.set(line.slice(0, equals), line.slice(equals + 1));
    }
  }

  /** Every key with its value, as written. */
  get entries(): ReadonlyMap<string, string> {
    return this.#values;
  }

  /** `uname -r`. */
  get release(): string | undefined {
    return this.#values.get('OSRELEASE');
  }

  /** The kernel's GNU build id in lower-case hex (5.9 and later). */
  get buildId(): string | undefined {
    const id = this.#values.get('BUILD-ID')?.toLowerCase();
    return id !== undefined && /^([0-9a-f]{2}){4,64}$/.test(id) ? id : undefined;
  }

  /** Bytes of a base page. */
  get pageSize(): number | undefined {
    return small(this.#values.get('PAGESIZE'));
  }

  /** Seconds since 1970 when the kernel crashed; missing in a dump of a running guest. */
  get crashTime(): number | undefined {
    return small(this.#values.get('CRASHTIME'));
  }

  /** KASLR offset of the kernel's link addresses; 0 if not stated. */
  get kernelOffset(): bigint {
    return hex(this.#values.get('KERNELOFFSET')) ?? 0n;
  }

  /** SYMBOL(name): a virtual address. For `mem_section` it is the value of that variable (since 4.15). */
  symbol(name: string): bigint | undefined {
    return hex(this.#values.get(`SYMBOL(${name})`));
  }

  /** Every SYMBOL(). */
  symbols(): Map<string, bigint> {
    const symbols = new Map<string, bigint>();
    for (const [key, value] of this.#values) {
      const name = /^SYMBOL\((.{1,256})\)$/.exec(key)?.[1];
      const address = hex(value);
      if (name !== undefined && address !== undefined) symbols.set(name, address);
    }
    return symbols;
  }

  /** NUMBER(name), signed; written in decimal, or in hex after `0x`. */
  number(name: string): bigint | undefined {
    return integer(this.#values.get(`NUMBER(${name})`));
  }

  /** SIZE(name) in bytes. */
  size(name: string): number | undefined {
    return small(this.#values.get(`SIZE(${name})`));
  }

  /** OFFSET(struct.member) in bytes. */
  offset(name: string): number | undefined {
    return small(this.#values.get(`OFFSET(${name})`));
  }

  /** LENGTH(array) in elements. */
  length(name: string): number | undefined {
    return small(this.#values.get(`LENGTH(${name})`));
  }
}

function hex(text: string | undefined): bigint | undefined {
  if (text === undefined || !HEX.test(text)) return undefined;
  return BigInt(text.startsWith('0x') ? text : `0x${text}`);
}

function integer(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  if (DECIMAL.test(text)) return BigInt(text);
  return text.startsWith('0x') ? hex(text) : undefined;
}

function small(text: string | undefined): number | undefined {
  const value = integer(text);
  return value !== undefined && value >= 0n && value <= 0x1f_ffff_ffff_ffffn ? Number(value) : undefined;
}

/** Time limit of a search in milliseconds: a large dump takes minutes to decompress. */
const MAX_MILLISECONDS = 20_000;
/** Number of pages between two checks of the time limit. */
const PAGES_PER_CHECK = 4096;
const MAX_CANDIDATES = 64;
const STEP = 4096;
/** The kernel's VMCOREINFO_BYTES is a page; its text has stayed below 4 KiB. */
const TEXT_BYTES = 4096;
/** An ELF note's header and the padded name `VMCOREINFO`. */
const NOTE_HEADER = 24;
/** `OSRE` as a little-endian word: every kernel writes OSRELEASE first. */
const START = 0x4552534f;

/**
 * Texts in memory that look like VMCOREINFO, for dumps without a note (a guest without QEMU's `-device
 * vmcoreinfo`): the kernel keeps it at the start of a page, plain and as an ELF note. A candidate may
 * be stale or a copy: the caller must check it against the kernel.
 *
 * @param search receives the number of bytes searched, and whether that was all memory
 */
export function* findVmcoreinfo(
  image: MemoryImage,
  search: { searched: number; complete: boolean },
): Generator<string> {
  const began = performance.now();
  const window: ByteWindow = { view: new DataView(new ArrayBuffer(0)), base: 0 };
  let pages = 0;
  let found = 0;
  for (const { start, end } of image.facts.physicalRanges) {
    for (let page = Math.ceil(start / STEP) * STEP; page + STEP <= end; page += STEP) {
      search.searched += STEP;
      if (++pages % PAGES_PER_CHECK === 0 && performance.now() - began > MAX_MILLISECONDS) return;
      const text = textAt(image, page, window);
      if (text === undefined) continue;
      yield text;
      if (++found >= MAX_CANDIDATES) return;
    }
  }
  search.complete = true;
}

function textAt(image: MemoryImage, page: number, window: ByteWindow): string | undefined {
  return readOrNot(() => {
    if (!image.locate?.(page, NOTE_HEADER + 4, window)) {
      window.view = image.readPhysical(page, NOTE_HEADER + 4);
      window.base = 0;
    }
    const { view: head, base } = window;
    const plain = head.getUint32(base, true) === START;
    if (!plain && head.getUint32(base + NOTE_HEADER, true) !== START) return undefined;
    const view = image.readPhysical(page, TEXT_BYTES);
    const bytes = Buffer.from(view.buffer, view.byteOffset, TEXT_BYTES);
    const text = bytes.subarray(plain ? 0 : NOTE_HEADER);
    // The text ends at the first byte that cannot be part of a line.
    const last = text.findIndex((byte) => byte !== 0x0a && (byte < 0x20 || byte > 0x7e));
    const words = text.toString('latin1', 0, last < 0 ? text.length : last);
    return words.startsWith('OSRELEASE=') && words.includes('\nSYMBOL(') ? words : undefined;
  });
}
