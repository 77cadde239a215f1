/**
 * Everything needed to print a type or a value of it. Nested types are resolved on access, so
 * self-referential types cost nothing.
 */
export type TypeDescription =
  | (Described & {
      readonly kind: 'int';
      readonly signed: boolean;
      readonly encoding: 'number' | 'char' | 'bool';
    })
  | (Described & { readonly kind: 'float' })
  | (Described & { readonly kind: 'pointer'; target(): TypeDescription })
  | (Described & {
      readonly kind: 'array';
      /** 0 for a flexible array. */
      readonly count: number;
      element(): TypeDescription;
    })
  | (Described & { readonly kind: 'struct' | 'union'; members(): MemberDescription[] })
  | (Described & {
      readonly kind: 'enum';
      readonly signed: boolean;
      values(): ReadonlyMap<string, bigint>;
    })
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

/**
 * How a type file was matched to the dump's kernel. `layouts`: by the sizes and offsets in
 * VMCOREINFO. `none`: nothing could be compared.
 */
export const TYPES_VERIFIED = ['build-id', 'banner', 'release', 'layouts', 'none'] as const;
export type TypesVerified = (typeof TYPES_VERIFIED)[number];
