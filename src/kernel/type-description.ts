/**
 * A type with all that is needed to print it, or a value of it. What lies inside is resolved when it
 * is looked at, so that types which contain pointers to themselves cost nothing.
 */
export type TypeDescription =
  | (Described & {
      readonly kind: 'int';
      readonly signed: boolean;
      /** What its bits stand for. */
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
  /** void, a function, or a struct that is declared but nowhere defined. */
  | (Described & { readonly kind: 'opaque' });

/** What every type has. */
export interface Described {
  /** As C writes it, with the typedefs' names: `struct sk_buff *`, `u32`, `struct {...}`. */
  readonly spelling: string;
  /** Bytes; 0 for what has no size. */
  readonly size: number;
}

export interface MemberDescription {
  /** '' for an anonymous struct or union, and for unnamed bits. */
  readonly name: string;
  /** The member as C declares it, without `;`: `unsigned char cb[48]`, `__u8 cloned:1`. */
  readonly declaration: string;
  /** Bits from the start of the struct that the member stands in. */
  readonly bitOffset: number;
  /** Bits of a bitfield; 0 for what is none. */
  readonly bitSize: number;
  readonly type: TypeDescription;
}

/** A type that somebody asked for by name. */
export interface NamedType {
  /** What the name stands for, typedefs stripped: `struct bio_vec` for `skb_frag_t`. */
  readonly type: TypeDescription;
  /** The name, if it is a typedef's. */
  readonly typedef?: string;
  /** The module that defines it; absent for the kernel's own. */
  readonly module?: string;
}
