import { ReadError } from '../../base/errors.js';
import type { Value } from '../../contracts/struct.js';
import type { TypeDescription } from '../../kernel/layout.js';
import { decodeBytes } from '../struct-reader.js';

/** Source of values. */
export interface InstanceSource {
  read(address: bigint, length: number): DataView;
  /** Symbol and offset of an address: `tcp_prot`, `init_task+0x40`. */
  nameOf?(address: bigint): string | undefined;
}

export interface InstanceLimits {
  /** Maximum number of array elements to read. */
  readonly elements: number;
}

/** Maximum number of values in one answer; further ones are marked as left out. */
const MAX_VALUES = 100_000;
const MAX_DEPTH = 64;
/** Maximum number of bytes of a char array to decode. */
const MAX_TEXT = 4096;

/** Reads instances of types. Unreadable values are reported individually. */
export class InstanceReader {
  readonly #source: InstanceSource;
  readonly #limits: InstanceLimits;
  #left = MAX_VALUES;
  #unreadable: ReadError | undefined;
  #readable = false;

  constructor(source: InstanceSource, limits: InstanceLimits) {
    this.#source = source;
    this.#limits = limits;
  }

  /** The first read that failed, if any. */
  get failure(): ReadError | undefined {
    return this.#unreadable;
  }

  /** Whether anything could be read. */
  get readable(): boolean {
    return this.#readable;
  }

  /** The value of a type at an address; for a bitfield, at `bitOffset` from there. */
  read(type: TypeDescription, address: bigint, bitOffset = 0, bitSize = 0): Value {
    return this.#value(type, address + BigInt(Math.floor(bitOffset / 8)), bitOffset % 8, bitSize, 0);
  }

  #value(type: TypeDescription, address: bigint, bit: number, bitSize: number, depth: number): Value {
    this.#left--;
    if (depth > MAX_DEPTH) return { kind: 'opaque' };
    switch (type.kind) {
      case 'struct':
      case 'union':
        return { kind: type.kind, ...this.#members(type, address, depth) };
      case 'array':
        return this.#array(type, address, depth);
      case 'opaque':
        return { kind: 'opaque' };
      default:
        return this.#scalar(type, address, bit, bitSize);
    }
  }

  #members(
    type: Extract<TypeDescription, { kind: 'struct' | 'union' }>,
    address: bigint,
    depth: number,
  ): Pick<Extract<Value, { kind: 'struct' | 'union' }>, 'members' | 'omitted'> {
    const all = type.members();
    const members: { name: string; value: Value }[] = [];
    for (const { name, type: inner, bitOffset, bitSize } of all) {
      if (this.#left <= 0) break;
      const at = address + BigInt(Math.floor(bitOffset / 8));
      members.push({ name, value: this.#value(inner, at, bitOffset % 8, bitSize, depth + 1) });
    }
    const omitted = all.length - members.length;
    return { members, ...(omitted > 0 ? { omitted } : {}) };
  }

  #array(type: Extract<TypeDescription, { kind: 'array' }>, address: bigint, depth: number): Value {
    const element = type.element();
    if (element.kind === 'int' && element.encoding === 'char' && isPlainChar(element.spelling))
      return this.#text(address, type.count);
    const most = Math.min(type.count, this.#limits.elements);
    const elements: Value[] = [];
    for (let index = 0; index < most && this.#left > 0; index++) {
      const at = address + BigInt(index) * BigInt(element.size);
      elements.push(this.#value(element, at, 0, 0, depth + 1));
    }
    return { kind: 'array', elements, omitted: type.count - elements.length };
  }

  #text(address: bigint, count: number): Value {
    const bytes = this.#bytes(address, Math.min(count, MAX_TEXT));
    if (!(bytes instanceof DataView)) return bytes;
    const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let end = view.length;
    while (end > 0 && view[end - 1] === 0) end--;
    return { kind: 'text', text: decodeBytes(view.subarray(0, end)) };
  }

  #scalar(
    type: Extract<TypeDescription, { kind: 'int' | 'float' | 'pointer' | 'enum' }>,
    address: bigint,
    bit: number,
    bitSize: number,
  ): Value {
    const bits = bitSize === 0 ? type.size * 8 : bitSize;
    const length = Math.ceil((bit + bits) / 8);
    const view = this.#bytes(address, length);
    if (!(view instanceof DataView)) return view;
    if (type.kind === 'float') return floatValue(view, type.size);
    let raw = 0n;
    for (let index = length - 1; index >= 0; index--) {
      raw = (raw << 8n) | BigInt(view.getUint8(index));
    }
    raw = BigInt.asUintN(bits, raw >> BigInt(bit));
    if (type.kind === 'pointer') {
      const symbol = raw === 0n ? undefined : this.#source.nameOf?.(raw);
      return { kind: 'pointer', value: raw, ...(symbol === undefined ? {} : { symbol }) };
    }
    const value = type.signed ? BigInt.asIntN(bits, raw) : raw;
    if (type.kind === 'int') return { kind: 'int', value: integer(value) };
    return { kind: 'enum', value: integer(value), name: enumeratorOf(type.values(), value, raw) };
  }

  #bytes(address: bigint, length: number): DataView | Extract<Value, { kind: 'unreadable' }> {
    try {
      const view = this.#source.read(BigInt.asUintN(64, address), length);
      if (length > 0) this.#readable = true;
      return view;
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      this.#unreadable ??= error;
      return { kind: 'unreadable', reason: error.code };
    }
  }
}

/** JSON's numbers are exact to 2^53. */
export function integer(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : `${value}`;
}

function isPlainChar(spelling: string): boolean {
  return spelling.replace(/\b(const|volatile)\s+/g, '') === 'char';
}

function floatValue(view: DataView, size: number): Value {
  if (size === 4) return { kind: 'float', value: view.getFloat32(0, true) };
  if (size === 8) return { kind: 'float', value: view.getFloat64(0, true) };
  return { kind: 'opaque' };
}

/** Returns the enumerator of a value; a bitfield of an enum holds its bits unsigned. */
function enumeratorOf(values: ReadonlyMap<string, bigint>, value: bigint, raw: bigint): string | null {
  for (const [name, known] of values) if (known === value || known === raw) return name;
  return null;
}
