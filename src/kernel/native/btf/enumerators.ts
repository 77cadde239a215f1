import type { Btf } from './btf.js';
import { Kind } from './format.js';

/** Names and values of an enum, in the order of its declaration. */
export function enumeratorsOf(btf: Btf, id: number): Map<string, bigint> {
  const values = new Map<string, bigint>();
  const wide = btf.kind(id) === Kind.ENUM64;
  const words = wide ? 3 : 2;
  const signed = btf.signedEnum(id);
  for (let index = 0; index < btf.vlen(id); index++) {
    const low = BigInt(btf.extra(id, index * words + 1));
    const high = wide ? BigInt(btf.extra(id, index * words + 2)) : 0n;
    const value = (high << 32n) | low;
    const name = btf.string(btf.extra(id, index * words));
    values.set(name, signed ? BigInt.asIntN(wide ? 64 : 32, value) : value);
  }
  return values;
}
