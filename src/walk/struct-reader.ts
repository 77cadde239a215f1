import { ReadError, unsupportedLayout } from '../base/errors.js';
import { type ByteWindow, bytesOf } from '../kernel/bytes.js';
import type { Kernel } from '../kernel/kernel.js';
import type { MemberLayout } from '../kernel/layout.js';
import type { Pointer } from '../kernel/pointer.js';
import { Cursor } from './cursor.js';
import { listNodes } from './list.js';
import { readPartOf } from './named-read.js';

/** Bytes allocated at once: a separate buffer for each small struct would cost more than its contents. */
const SLAB_BYTES = 65_536;

/** Buffer for copies of constant bytes: many share one buffer, which lives as long as they do. */
export class Copies {
  /** Buffer of the latest copy, which begins at `base`. */
  bytes = new Uint8Array(0);
  /** View of the same buffer. */
  view = new DataView(this.bytes.buffer);
  base = 0;
  #used = 0;

  allocate(length: number): void {
    if (this.#used + length > this.bytes.length) {
      this.bytes = new Uint8Array(Math.max(length, SLAB_BYTES));
      this.view = new DataView(this.bytes.buffer);
      this.#used = 0;
    }
    this.base = this.#used;
    this.#used += length;
  }
}

/**
 * Maximum gap between members in one read, in bytes. Memory in between may be missing and is private
 * (`extract` keeps all memory that is read).
 */
const WIDEST_GAP = 16;

const COPIES = new Copies();

const NOTHING: ByteWindow = { view: new DataView(new ArrayBuffer(0)), base: 0 };

/** Neighbouring members fetched in one read; bytes from the start of the struct. */
interface Part {
  readonly start: number;
  readonly length: number;
}

/**
 * Reads selected members of one struct. Paths are resolved once, when it is created; a read fetches the
 * members and narrow gaps between them.
 */
export class StructReader<Path extends string> {
  readonly name: string;
  /** Size of the struct in bytes. */
  readonly size: number;
  readonly members: Readonly<Record<Path, MemberLayout>>;
  readonly #kernel: Kernel;
  readonly #parts: readonly Part[];
  /** Range from the first member to the last. */
  readonly #span: Part;
  readonly #together: boolean;
  readonly #cursor: Cursor;
  /** Parts of the last struct read, concatenated. */
  readonly #assembled: Readonly<ByteWindow>;

  /**
   * @param together one read for all members, if memory has everything between them: for structs that are
   * read by the hundred thousand
   * @throws {KernelError} `unsupported-layout`, naming the members found, if one is missing.
   */
  constructor(kernel: Kernel, name: string, paths: readonly Path[], together = false) {
    const layout = kernel.struct(name);
    if (!layout) throw unsupportedLayout(`this kernel has no struct ${name}`);
    layout.resolve?.(paths);
    const members: Partial<Record<Path, MemberLayout>> = {};
    for (const path of paths) {
      const member = layout.member(path);
      if (!member) {
        throw unsupportedLayout(
          `struct ${name} of this kernel has no member ${path}; it has ${someOf(layout.members)}`,
        );
      }
      members[path] = member;
    }
    this.name = name;
    this.size = layout.size;
    this.members = members as Record<Path, MemberLayout>;
    this.#kernel = kernel;
    this.#parts = partsOf(Object.values<MemberLayout>(this.members));
    this.#span = around(this.#parts);
    this.#together = together;
    this.#cursor = new Cursor(kernel, `struct ${name}`);
    const { start, length } = this.#span;
    const parts = new ArrayBuffer(this.#parts.length === 1 ? 0 : length);
    this.#assembled = { view: new DataView(parts), base: -start };
  }

  /**
   * Returns a reader of members that some kernels lack.
   *
   * @returns undefined if the struct or one of the members does not exist
   */
  static ifPresent<Path extends string>(
    kernel: Kernel,
    name: string,
    paths: readonly Path[],
  ): StructReader<Path> | undefined {
    const layout = kernel.struct(name);
    if (!layout || paths.some((path) => !layout.member(path))) return undefined;
    return new StructReader(kernel, name, paths);
  }

  /** @throws {ReadError}, naming the struct, if the members at `address` cannot be read. */
  read(address: bigint): StructView<Path> {
    const { view, base } = this.look(this.#cursor.to(address));
    const { start, length } = this.#span;
    COPIES.allocate(length);
    COPIES.bytes.set(bytesOf(view, base + start, length), COPIES.base);
    return new StructView(address, COPIES.view, COPIES.base - start, this.members);
  }

  /** Returns a cursor for loops over hundreds of thousands of these structs. */
  cursor(): StructCursor<Path> {
    return new StructCursor(this, new Cursor(this.#kernel, `struct ${this.name}`));
  }

  /** Reads the members of the struct at the cursor; its first byte is at `base` in the result. */
  look(cursor: Cursor): Readonly<ByteWindow> {
    if (this.#together) {
      try {
        return cursor.look(this.#span.start, this.#span.length);
      } catch (error) {
        if (!(error instanceof ReadError)) throw error;
      }
    }
    const { start, length } = this.#span;
    if (this.#parts.length === 1) return cursor.look(start, length);
    const bytes = new Uint8Array(this.#assembled.view.buffer);
    for (const part of this.#parts) {
      const { view, base } = cursor.look(part.start, part.length);
      bytes.set(bytesOf(view, base + part.start, part.length), part.start - start);
    }
    return this.#assembled;
  }

  /** Returns the offset of a member, in bytes. */
  offset(path: Path): number {
    return this.members[path].offset;
  }

  /** Returns the address of a member of the struct at `address`: `&address->path`. Reads nothing. */
  addressOf(address: bigint, path: Path): bigint {
    return address + BigInt(this.members[path].offset);
  }

  /** Address of the struct that contains `member`: `container_of`. Nothing is read. */
  containerOf(member: bigint, path: Path): bigint {
    return member - BigInt(this.members[path].offset);
  }

  /** Reads the struct that contains `member`. @throws as read */
  readContainer(member: bigint, path: Path): StructView<Path> {
    return this.read(this.containerOf(member, path));
  }

  /** Returns the address of element `index` of an array of these structs at `array`. Reads nothing. */
  element(array: bigint, index: number): bigint {
    return array + BigInt(index * this.size);
  }

  /** Yields the addresses of the structs linked by `path`, a `struct list_head`, into the list at `head`. */
  *entryAddresses(head: bigint, path: Path): Generator<bigint> {
    for (const node of listNodes(this.#kernel, head)) yield this.containerOf(node, path);
  }

  /** Reads each struct of a list: `list_for_each_entry`. @throws as entryAddresses */
  *entries(head: bigint, path: Path): Generator<StructView<Path>> {
    for (const address of this.entryAddresses(head, path)) yield this.read(address);
  }
}

function partsOf(members: readonly MemberLayout[]): Part[] {
  const parts: Part[] = [];
  for (const { offset, size } of members.toSorted((a, b) => a.offset - b.offset)) {
    const last = parts[parts.length - 1];
    if (last && offset <= last.start + last.length + WIDEST_GAP) {
      const end = Math.max(last.start + last.length, offset + size);
      parts[parts.length - 1] = { start: last.start, length: end - last.start };
    } else {
      parts.push({ start: offset, length: size });
    }
  }
  return parts;
}

/** Returns the range from the first part to the last. */
function around(parts: readonly Part[]): Part {
  const { start } = parts[0]!;
  const last = parts[parts.length - 1]!;
  return { start, length: last.start + last.length - start };
}

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 40).join(', ');
  return names.length > 40 ? `${shown} and ${names.length - 40} more` : shown;
}

/** The members of one struct in memory, read but not yet interpreted. */
export class StructView<Path extends string> {
  readonly address: bigint;
  readonly #view: DataView;
  /** Offset in the view at which the struct would begin; negative if its start was not read. */
  readonly #base: number;
  readonly #members: Readonly<Record<Path, MemberLayout>>;

  constructor(address: bigint, view: DataView, base: number, members: Readonly<Record<Path, MemberLayout>>) {
    this.address = address;
    this.#view = view;
    this.#base = base;
    this.#members = members;
  }

  /** A pointer or an unsigned 64-bit value. */
  pointer(path: Path): bigint {
    return this.#view.getBigUint64(this.#base + this.#members[path].offset, true);
  }

  /** An unsigned integer of any width, or a bitfield; rounded above 2^53. */
  number(path: Path): number {
    const member = this.#members[path];
    return readUnsigned(this.#view, this.#base + member.offset, member);
  }

  /** A char array up to its NUL, as UTF-8; untrusted. */
  text(path: Path): string {
    const { offset, size } = this.#members[path];
    return decodeText(this.#view, this.#base + offset, size);
  }

  /** The raw bytes of a member. */
  bytes(path: Path): Uint8Array {
    const { offset, size } = this.#members[path];
    return bytesOf(this.#view, this.#base + offset, size);
  }

  /** The elements of an array of pointers. */
  pointers(path: Path): bigint[] {
    const { offset, count = 0 } = this.#members[path];
    return Array.from({ length: count }, (_, index) => this.#view.getBigUint64(this.#base + offset + 8 * index, true));
  }

  /** The address of a member in the kernel's memory. */
  addressOf(path: Path): bigint {
    return this.address + BigInt(this.#members[path].offset);
  }
}

/**
 * Reads structs of one type in turn without allocating: for loops over hundreds of thousands. A view is valid
 * until the kernel reads something else.
 */
export class StructCursor<Path extends string> {
  readonly #reader: StructReader<Path>;
  readonly #members: Readonly<Record<Path, MemberLayout>>;
  readonly #cursor: Cursor;
  #window: Readonly<ByteWindow> = NOTHING;

  constructor(reader: StructReader<Path>, cursor: Cursor) {
    this.#reader = reader;
    this.#members = reader.members;
    this.#cursor = cursor;
  }

  /** Address of the current struct. */
  get at(): Pointer {
    return this.#cursor.at;
  }

  /** Moves to a struct and reads it. @throws {ReadError}, naming the struct */
  to(address: bigint): this {
    this.#window = this.#reader.look(this.#cursor.to(address));
    return this;
  }

  /** The same, at an offset from a pointer. */
  follow(pointer: Pointer, bytes = 0): this {
    this.#window = this.#reader.look(this.#cursor.follow(pointer, bytes));
    return this;
  }

  /** See {@link StructView.number}. */
  number(path: Path): number {
    const member = this.#members[path];
    return readUnsigned(this.#window.view, this.#window.base + member.offset, member);
  }

  /** A pointer or an unsigned 64-bit value. */
  pointer(path: Path): bigint {
    return this.#window.view.getBigUint64(this.#window.base + this.#members[path].offset, true);
  }

  /** Sets `to` to the pointer in a member. */
  load(path: Path, to: Pointer): Pointer {
    return to.load(this.#window.view, this.#window.base + this.#members[path].offset);
  }
}

/** Reads an unsigned integer or bitfield of 1, 2, 4 or 8 bytes, little-endian. */
export function readUnsigned(view: DataView, offset: number, member: Pick<MemberLayout, 'size' | 'bits'>): number {
  let value: number;
  switch (member.size) {
    case 1:
      value = view.getUint8(offset);
      break;
    case 2:
      value = view.getUint16(offset, true);
      break;
    case 4:
      value = view.getUint32(offset, true);
      break;
    default:
      if (member.bits) {
        const unit = view.getBigUint64(offset, true) >> BigInt(member.bits.offset);
        return Number(BigInt.asUintN(member.bits.size, unit));
      }
      return Number(view.getBigUint64(offset, true));
  }
  if (!member.bits) return value;
  if (member.size < 4) return (value >>> member.bits.offset) & ((1 << member.bits.size) - 1);
  // Up to 32 bits: division avoids the sign of a 32-bit shift.
  return Math.floor(value / 2 ** member.bits.offset) % 2 ** member.bits.size;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text up to the first NUL within `size` bytes; see {@link decodeBytes}. */
export function decodeText(view: DataView, offset: number, size: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, size);
  const end = bytes.indexOf(0);
  return decodeBytes(end < 0 ? bytes : bytes.subarray(0, end));
}

/**
 * Decodes UTF-8. Invalid bytes are preserved: each byte from 0x80 up becomes a lone surrogate, U+DC80 to
 * U+DCFF (Python's "surrogateescape").
 */
export function decodeBytes(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    return Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join('');
  }
}

/** Minimum length of a read, in bytes. */
const MIN_TEXT = 8;

/**
 * Text up to its NUL, or its first `most` bytes: memory behind the end may be missing. Untrusted.
 *
 * @param most a power of two
 */
export function textAt(kernel: Kernel, what: string, address: bigint, most: number): string {
  for (let length = most; ; length /= 2) {
    try {
      return decodeText(readPartOf(kernel, what, address, address, length), 0, length);
    } catch (error) {
      if (!(error instanceof ReadError) || length <= MIN_TEXT) throw error;
    }
  }
}
