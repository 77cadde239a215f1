/** Where a member lies in a struct. Offsets and sizes are bytes; bit positions are bits. */
export interface MemberLayout {
  /** Bytes from the start of the outermost struct asked for. */
  readonly offset: number;
  /** Bytes of the whole member: of all elements, for an array. For a bitfield, of its storage unit. */
  readonly size: number;
  /** A bitfield's place in the little-endian storage unit of `size` bytes at `offset`. */
  readonly bits?: { readonly offset: number; readonly size: number };
  /** Elements of an array; 0 for a flexible array. Absent for what is no array. */
  readonly count?: number;
  /** The bare name of the struct, union or typedef, of the element for an array; '' if it has none. */
  readonly type: string;
  /** The member is a pointer (or an array of pointers) to `type`. */
  readonly pointer: boolean;
}

/** The layout of a struct or union. */
export interface StructLayout {
  readonly name: string;
  readonly size: number;
  /** Names of the members, those of anonymous structs and unions inside among them. */
  readonly members: readonly string[];
  /**
   * Resolves a path such as `__sk_common.skc_family`; anonymous structs and unions are looked
   * through, and `frags[3].len` steps into an array. Undefined where the type has no such member.
   */
  member(path: string): MemberLayout | undefined;
  /** Resolves several at once, where asking for one after the other takes longer. */
  resolve?(paths: readonly string[]): void;
}
