/** Position of a member in a struct. Offsets and sizes are bytes; bit positions are bits. */
export interface MemberLayout {
  /** Bytes from the start of the outermost queried struct. */
  readonly offset: number;
  /** Bytes of the member; of all elements for an array, of the storage unit for a bitfield. */
  readonly size: number;
  /** Position of a bitfield in the little-endian storage unit of `size` bytes at `offset`. */
  readonly bits?: { readonly offset: number; readonly size: number };
  /** Elements of an array; 0 for a flexible array. Absent for other members. */
  readonly count?: number;
  /** Bare name of the struct, union or typedef (of an array: of its element); '' if unnamed. */
  readonly type: string;
  /** The member is a pointer (or an array of pointers) to `type`. */
  readonly pointer: boolean;
}

export interface StructLayout {
  readonly name: string;
  readonly size: number;
  /** Names of the members, including those of anonymous structs and unions. */
  readonly members: readonly string[];
  /**
   * Resolves a path such as `__sk_common.skc_family`, also through anonymous structs and unions;
   * `frags[3].len` indexes an array. Undefined if the type has no such member.
   */
  member(path: string): MemberLayout | undefined;
  /** Resolves several paths at once, where one query per path is slower. */
  resolve?(paths: readonly string[]): void;
}

/**
 * Returns the bytes to read for a bitfield: the aligned unit of its declared type or, if a packed struct
 * spreads it across two units or the unit would exceed the struct's end, the bytes that it touches.
 */
export function storageUnit(
  bits: number,
  bitSize: number,
  unit: number,
  structSize: number,
): Pick<MemberLayout, 'offset' | 'size'> & { bits: { offset: number; size: number } } {
  if (unit > 0) {
    const offset = Math.floor(bits / (unit * 8)) * unit;
    const within = bits - offset * 8;
    if (within + bitSize <= unit * 8 && offset + unit <= structSize)
      return { offset, size: unit, bits: { offset: within, size: bitSize } };
  }
  const offset = Math.floor(bits / 8);
  const within = bits % 8;
  return { offset, size: Math.ceil((within + bitSize) / 8), bits: { offset: within, size: bitSize } };
}

/** Bytes of each string in `struct new_utsname` (include/uapi/linux/utsname.h), including its NUL. */
export const UTS_BYTES = 65;

/** Indices of its strings. */
export const UTS = { sysname: 0, nodename: 1, release: 2, version: 3, machine: 4, domain: 5 } as const;

/**
 * Everything needed to print a type or a value of it. Nested types are resolved on access, so
 * self-referential types cost nothing.
 */
export type TypeDescription =
  | (Described & { readonly kind: 'int'; readonly signed: boolean; readonly encoding: 'number' | 'char' | 'bool' })
  | (Described & { readonly kind: 'float' })
  | (Described & { readonly kind: 'pointer'; target(): TypeDescription })
  | (Described & {
      readonly kind: 'array';
      /** 0 for a flexible array. */
      readonly count: number;
      element(): TypeDescription;
    })
  | (Described & { readonly kind: 'struct' | 'union'; members(): MemberDescription[] })
  | (Described & { readonly kind: 'enum'; readonly signed: boolean; values(): ReadonlyMap<string, bigint> })
  /** void, a function, or a struct that is declared but never defined. */
  | (Described & { readonly kind: 'opaque' });

export interface Described {
  /** C spelling with typedef names: `struct sk_buff *`, `u32`, `struct {...}`. */
  readonly spelling: string;
  /** Bytes; 0 for types without a size. */
  readonly size: number;
}

export interface MemberDescription {
  /** '' for an anonymous struct or union and for unnamed bitfields. */
  readonly name: string;
  /** The member as C declares it, without `;`: `unsigned char cb[48]`, `__u8 cloned:1`. */
  readonly declaration: string;
  /** Bits from the start of the enclosing struct. */
  readonly bitOffset: number;
  /** Bits of a bitfield; 0 for other members. */
  readonly bitSize: number;
  readonly type: TypeDescription;
}

/** The result of a lookup of a type by name. */
export interface NamedType {
  /** The named type with typedefs stripped: `struct bio_vec` for `skb_frag_t`. */
  readonly type: TypeDescription;
  /** The name, if it is a typedef. */
  readonly typedef?: string;
  /** Module that defines the type; absent for types of the kernel image. */
  readonly module?: string;
}

/** A symbol or type file for a dump, and how it was matched to the dump's kernel. */
export interface SymbolFile {
  readonly path: string;
  readonly as: 'vmlinux' | 'symbols' | 'btf';
  /** `release`: the file does not identify its build. */
  readonly by: 'build-id' | 'release';
}
