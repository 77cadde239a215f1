import { StructReader } from '../../src/walk/struct-reader.js';

/** A place that a walk read and that is worth damaging. */
export interface Site {
  readonly address: bigint;
  /** Bytes. */
  readonly size: number;
  /** `sk_buff.len`; `links` or similar if no struct was named. */
  readonly label: string;
}

/** Length up to which a read is split into words; of longer ones only the beginning is. */
const MAX_SPLIT = 256;

/**
 * Runs a walk and returns the places that it read, member by member if it used a
 * StructReader.
 */
export function sitesOf(walk: (onRead: (address: bigint, length: number) => void) => void): Site[] {
  const sites = new Map<string, Site>();
  const note = (site: Site): void => {
    const key = `${site.address} ${site.size}`;
    const known = sites.get(key);
    if (!known || known.label === 'memory') sites.set(key, site);
  };
  const prototype = StructReader.prototype;
  const original = prototype.read;
  prototype.read = function (this: StructReader<string>, address: bigint) {
    const view = original.call(this, address);
    for (const [path, member] of Object.entries(this.members)) {
      // An embedded struct is not a pointer: the walk uses its own address.
      const size = member.size > 64 && !path.endsWith('comm') && path !== 'name' ? 16 : member.size;
      const at = address + BigInt(member.offset);
      note({ address: at, size, label: `${this.name}.${path}` });
    }
    return view;
  } as typeof original;
  try {
    walk((address, length) => {
      for (let at = 0; at < Math.min(length, MAX_SPLIT); at += 8) {
        const size = Math.min(8, length - at);
        note({ address: address + BigInt(at), size, label: 'memory' });
      }
    });
  } finally {
    prototype.read = original;
  }
  return [...sites.values()];
}
