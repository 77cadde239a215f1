/** The note is a page of text; arm64's pages have up to 64 KiB. What comes after is not read. */
const MOST_TEXT = 1 << 17;
const MOST_LINES = 4096;

/** Variables of which SYMBOL() gives the value, not the address. */
export const NOT_ADDRESSES: ReadonlySet<string> = new Set(['mem_section', 'vmemmap']);

const DECIMAL = /^-?\d{1,20}$/;
const HEX = /^(?:0x)?[0-9a-f]{1,16}$/i;

/**
 * What the kernel wrote down for whoever reads its dump (Documentation/admin-guide/kdump/
 * vmcoreinfo.rst). The text comes out of the dump and may hold anything: a value that is no number
 * reads as if it were not there.
 */
export class Vmcoreinfo {
  readonly #values = new Map<string, string>();

  constructor(text: string) {
    const lines = text.slice(0, MOST_TEXT).split('\0', 1)[0]!.split('\n', MOST_LINES);
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

  /** Seconds since 1970 when the kernel crashed; a dump of a running guest has none. */
  get crashTime(): number | undefined {
    return small(this.#values.get('CRASHTIME'));
  }

  /** What KASLR added to the kernel's link addresses; 0 where nothing is said. */
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
  return value !== undefined && value >= 0n && value <= 0x1f_ffff_ffff_ffffn
    ? Number(value)
    : undefined;
}
