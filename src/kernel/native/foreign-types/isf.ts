import { KernelError } from '../../../base/errors.js';
import type { Btf } from '../btf/btf.js';
import { Kind } from '../btf/format.js';
import { ListedSymbols, relocated } from '../symbols.js';
import { BtfBuilder, type BuiltMember } from './builder.js';

/** dwarf2json has written format 6 since 2019; up to 5, bitfields were encoded differently. */
const FORMAT = /^6\.\d+\.\d+$/;
/** Numbers that exceed a double's precision: they are quoted before parsing. */
const LARGE = /("\s*:\s*)(-?\d{16,20})(?=\s*[,}\]])/g;
/** Deeper nesting of types indicates corruption. */
const MAX_DEPTH = 256;
const MAX_BANNER = 4096;
/** Names that dwarf2json makes up for unnamed types and members. */
const ANONYMOUS = /^unnamed_/;

type Fields = Readonly<Record<string, unknown>>;

/** Contents of a Volatility symbol table (ISF, as dwarf2json writes it). */
export interface Isf {
  /** `linux_banner` without its newline; undefined if missing. */
  readonly banner: string | undefined;
  readonly types: Btf;
  /** Symbols at their runtime addresses; undefined if the file has none. */
  symbols(kernelOffset: bigint): ListedSymbols | undefined;
}

/**
 * Reads a Volatility 3 symbol table. It has no typedefs: members have the underlying type.
 *
 * @throws {KernelError} `unsupported-format`, `damaged`
 */
export function readIsf(text: string): Isf {
  const root = fields(parse(text), 'file');
  const format = fields(root.metadata, 'metadata').format;
  if (typeof format !== 'string' || !FORMAT.test(format))
    throw new KernelError('unsupported-format', `unsupported ISF format ${JSON.stringify(format)?.slice(0, 40)}`);
  const symbols = fields(root.symbols ?? {}, 'symbols');
  return {
    banner: bannerOf(symbols),
    types: new IsfTypes(root).read(),
    symbols: (kernelOffset) => listed(symbols, kernelOffset),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text.replace(LARGE, '$1"$2"'));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
    throw malformed('not JSON');
  }
}

function bannerOf(symbols: Fields): string | undefined {
  if (!Object.hasOwn(symbols, 'linux_banner')) return undefined;
  const { constant_data: data } = fields(symbols.linux_banner, 'linux_banner');
  if (typeof data !== 'string' || data.length > MAX_BANNER) return undefined;
  return Buffer.from(data, 'base64').toString('latin1').split('\0', 1)[0]!.trim();
}

/** Symbols with an address; functions are those in the kernel's text, all others are variables. */
function listed(symbols: Fields, kernelOffset: bigint): ListedSymbols | undefined {
  const addressOf = (name: string): bigint | undefined => {
    if (!Object.hasOwn(symbols, name)) return undefined;
    const address = integer(fields(symbols[name], name).address);
    return address === undefined || address === 0n ? undefined : BigInt.asUintN(64, address);
  };
  const text = addressOf('_stext') ?? 0n;
  const end = addressOf('_etext') ?? 0n;
  const rows = Object.keys(symbols).flatMap((name) => {
    const address = /[\n\0]/.test(name) ? undefined : addressOf(name);
    return address === undefined ? [] : [{ name, address }];
  });
  if (rows.length === 0) return undefined;
  const nameAt = new Int32Array(rows.length);
  const letters = new Uint8Array(rows.length);
  const addresses = new BigUint64Array(rows.length);
  let at = 0;
  for (const [index, { name, address }] of rows.entries()) {
    nameAt[index] = at;
    at += Buffer.byteLength(name, 'latin1') + 1;
    letters[index] = (address >= text && address < end ? 'T' : 'D').charCodeAt(0);
    addresses[index] = relocated(address, kernelOffset);
  }
  const names = Buffer.from(`${rows.map(({ name }) => name).join('\n')}\n`, 'latin1');
  return new ListedSymbols(names, nameAt, 0x0a, letters, addresses);
}

class IsfTypes {
  readonly #built = new BtfBuilder();
  readonly #bases: Fields;
  readonly #structs: Fields;
  readonly #enums: Fields;
  readonly #known = new Map<string, number | null>();

  constructor(root: Fields) {
    this.#bases = fields(root.base_types, 'base_types');
    this.#structs = fields(root.user_types, 'user_types');
    this.#enums = fields(root.enums, 'enums');
  }

  read(): Btf {
    for (const name of Object.keys(this.#structs)) this.#struct(name, 0);
    for (const name of Object.keys(this.#enums)) this.#enum(name);
    const types = this.#built.build();
    if (types.count === 0) throw new KernelError('no-types', 'no types');
    return types;
  }

  #type(value: unknown, depth: number, pointee = false): number {
    if (depth > MAX_DEPTH) throw malformed('types nested too deeply');
    const type = fields(value, 'type');
    const { kind, name } = type;
    switch (kind) {
      case 'base':
        return this.#base(text(name));
      case 'pointer':
        return this.#built.plain(Kind.PTR, 0, this.#type(type.subtype, depth + 1, true));
      case 'array': {
        const element = this.#type(type.subtype, depth + 1, pointee);
        return this.#built.array(element, integerOf(type.count, 2 ** 31));
      }
      case 'enum':
        return this.#enum(text(name));
      case 'function':
        return this.#built.prototype(0, []);
      case 'struct':
      case 'union':
      case 'class':
        return pointee && !ANONYMOUS.test(text(name))
          ? this.#declared(text(name), kind)
          : this.#struct(text(name), depth + 1);
      default:
        throw malformed(`unknown kind of type ${String(kind).slice(0, 40)}`);
    }
  }

  #declared(name: string, kind: string): number {
    const defined = Object.hasOwn(this.#structs, name) ? fields(this.#structs[name], name).kind : kind;
    const as = defined === 'union' ? Kind.UNION : Kind.STRUCT;
    return this.#built.declared(as, this.#built.name(name));
  }

  #base(name: string): number {
    // The target of a pointer without a type.
    if (name === 'void') return 0;
    if (!Object.hasOwn(this.#bases, name)) throw malformed(`no base type ${name.slice(0, 60)}`);
    const { kind, size, signed } = fields(this.#bases[name], name);
    const id = this.#built.name(name);
    const bytes = integerOf(size, 64);
    if (kind === 'void' || bytes === 0) return 0;
    if (kind === 'float') return this.#built.plain(Kind.FLOAT, id, bytes);
    return this.#built.int(id, bytes, kind === 'bool' ? 4 : signed === true ? 1 : 0);
  }

  #enum(name: string): number {
    if (!Object.hasOwn(this.#enums, name)) throw malformed(`no enum ${name.slice(0, 60)}`);
    const { size, constants } = fields(this.#enums[name], name);
    const values = Object.entries(fields(constants, name)).map(([key, value]) => ({
      name: this.#built.name(key),
      value: integer(value) ?? refuse(`invalid enumerator ${key.slice(0, 60)}`),
    }));
    return this.#built.enumeration(this.#nameOf(name), integerOf(size, 8), values);
  }

  #struct(name: string, depth: number): number {
    const known = this.#known.get(name);
    if (known !== undefined) return known ?? refuse(`${name.slice(0, 60)} contains itself`);
    if (!Object.hasOwn(this.#structs, name)) throw malformed(`no type ${name.slice(0, 60)}`);
    this.#known.set(name, null);
    const { kind, size, fields: members } = fields(this.#structs[name], name);
    const built = Object.entries(fields(members ?? {}, name))
      .map(([of, value]) => this.#member(of, fields(value, of), depth))
      .sort((a, b) => a.bitOffset - b.bitOffset);
    const as = kind === 'union' ? Kind.UNION : Kind.STRUCT;
    const id = this.#built.aggregate(as, this.#nameOf(name), integerOf(size, 2 ** 32), built);
    this.#known.set(name, id);
    return id;
  }

  #member(of: string, { type, offset, anonymous }: Fields, depth: number): BuiltMember {
    const name = anonymous === true ? 0 : this.#built.name(of);
    const bits = integerOf(offset, 2 ** 28) * 8;
    const described = fields(type, of);
    if (described.kind !== 'bitfield') return { name, type: this.#type(described, depth), bitOffset: bits, bitSize: 0 };
    return {
      name,
      type: this.#type(described.type, depth),
      bitOffset: bits + integerOf(described.bit_position, 128),
      bitSize: integerOf(described.bit_length, 128),
    };
  }

  #nameOf(name: string): number {
    return ANONYMOUS.test(name) ? 0 : this.#built.name(name);
  }
}

function fields(value: unknown, of: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(`${of.slice(0, 60)} is not an object`);
  return value as Fields;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : refuse('type without a name');
}

function integerOf(value: unknown, limit: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= limit) return value;
  return refuse(`invalid size or offset ${String(value).slice(0, 40)}`);
}

function integer(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}

function malformed(why: string): KernelError {
  return new KernelError('damaged', `malformed ISF (${why})`);
}

function refuse(why: string): never {
  throw malformed(why);
}
