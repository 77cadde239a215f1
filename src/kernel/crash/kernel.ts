import { KernelError, ReadError, type ReadErrorCode } from '../../base/errors.js';
import type { Kernel, KernelFacts } from '../kernel.js';
import type { MemberLayout, StructLayout } from '../layout.js';
import { type PageArray, PageMap } from '../page-map.js';
import {
  findMember,
  type GdbMember,
  type GdbType,
  GdbTypes,
  memberNames,
  type PtypeMember,
  parseEnum,
  parseWhatis,
} from './gdb-types.js';
import type { CrashSession } from './session.js';

const PATH = /^\w+(\[\d+\])?(\.\w+(\[\d+\])?)*$/;

/**
 * The layout of one struct, queried member by member: gdb takes 0.2 ms for an address in a null
 * struct, but 400 ms to print task_struct the first time.
 */
class CrashLayout implements StructLayout {
  readonly name: string;
  readonly size: number;
  readonly #type: GdbType;
  readonly #struct: (name: string) => StructLayout | undefined;
  readonly #known = new Map<string, MemberLayout | undefined>();

  /** @param struct looks up other structs */
  constructor(name: string, type: GdbType, struct: (name: string) => StructLayout | undefined) {
    this.name = name;
    this.size = type.size;
    this.#type = type;
    this.#struct = struct;
  }

  get members(): readonly string[] {
    return memberNames(this.#declarations());
  }

  member(path: string): MemberLayout | undefined {
    this.resolve([path]);
    return this.#known.get(path);
  }

  resolve(paths: readonly string[]): void {
    const unknown = paths.filter((path) => !this.#known.has(path));
    const queried = unknown.filter((path) => PATH.test(path));
    const members = this.#type.members(queried).map((member) => member && described(member));
    // gdb returns an address for a bitfield too, so possible bitfields are checked separately.
    const doubted = queried.flatMap((path, index) => {
      const member = members[index];
      return member && !member.notBitfield ? [{ path, size: member.layout.size }] : [];
    });
    const scalars = this.#type.scalars(doubted);
    const unsure = doubted.filter((_, index) => scalars[index] === 'unsure');
    const known = new Map(queried.map((path, index) => [path, members[index]?.layout]));
    for (const { path } of unsure) {
      const { type, pointer, ...place } = known.get(path)!;
      known.set(path, { ...place, ...this.#bits(path), type, pointer });
    }
    for (const path of unknown) this.#known.set(path, known.get(path));
  }

  /** Position of a bitfield; empty for any other member. */
  #bits(path: string): Partial<Pick<MemberLayout, 'offset' | 'size' | 'bits'>> {
    const steps = path.split('.');
    const parent = steps.slice(0, -1).join('.');
    const [holder] = parent === '' ? [] : this.#type.members([parent]);
    const type = holder && parseWhatis(holder.whatis).type;
    if (holder && type) {
      const inner = this.#struct(type)?.member(steps.at(-1) ?? '');
      return inner?.bits ? { offset: holder.offset + inner.offset, size: inner.size, bits: inner.bits } : {};
    }
    const width = follow(this.#declarations(), steps)?.width;
    if (width === undefined) return {};
    const at = follow(this.#type.declared(true) ?? [], steps)?.at;
    if (!at) {
      throw new KernelError('unsupported-layout', `crash: no offset of bit field ${this.name}.${path}`);
    }
    // The fewest bytes that contain the whole bitfield, from the first one that it touches.
    const bytes = Math.ceil((at.bit + width) / 8);
    return { offset: at.byte, size: bytes <= 2 ? bytes : bytes <= 4 ? 4 : 8, bits: { offset: at.bit, size: width } };
  }

  #declarations(): readonly PtypeMember[] {
    const declared = this.#type.declared(false);
    if (declared) return declared;
    throw new KernelError('unsupported-layout', `crash: no definition of struct ${this.name}`);
  }
}

interface Described {
  readonly layout: MemberLayout;
  /** The member is certainly not a bitfield. */
  readonly notBitfield: boolean;
}

function described({ whatis, offset, size }: GdbMember): Described {
  const { aggregate, ...type } = parseWhatis(whatis);
  const notBitfield = aggregate || type.pointer || type.count !== undefined;
  return { layout: { offset, size, ...type }, notBitfield };
}

function follow(members: readonly PtypeMember[], steps: readonly string[]): PtypeMember | undefined {
  let inside: readonly PtypeMember[] | undefined = members;
  let member: PtypeMember | undefined;
  for (const step of steps) {
    member = inside && findMember(inside, step.replace(/\[\d+\]$/, ''));
    inside = member?.members;
  }
  return member;
}

const PAGE = 4096;
const PAGE_BITS = BigInt(PAGE - 1);

/** Maximum number of cached pages: 64 MiB. */
const MAX_PAGES = 16_384;

/** Names of types and symbols that are safe in a crash command. */
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_.]{0,127}$/;

/**
 * A kernel read through crash: symbols from `sym`, layouts from its gdb, memory from `rd -r`, page
 * by page through a cache.
 */
export class CrashKernel implements Kernel {
  readonly facts: KernelFacts;
  readonly pages: PageMap;
  readonly #session: CrashSession;
  readonly #types: GdbTypes;
  readonly #pages = new Map<bigint, DataView | Refusal>();
  /** Pages that were read since noteReads. */
  #noted: Set<bigint> | undefined;
  readonly #symbols = new Map<string, bigint | undefined>();
  readonly #structs = new Map<string, StructLayout | undefined>();
  readonly #enums = new Map<string, ReadonlyMap<string, bigint> | undefined>();
  readonly #directMap: bigint;
  readonly #vmemmap: bigint;

  /** @throws {KernelError} if crash lacks symbols that every kernel has, or the machine is unsupported. */
  constructor(session: CrashSession, source: KernelFacts['source']) {
    this.#session = session;
    this.#types = new GdbTypes(session, () => this.symbol('_stext'));
    const [system = ''] = session.execute(['sys']);
    const release = /^ +RELEASE: (.*)$/m.exec(system)?.[1] ?? '';
    const machine = /^ +MACHINE: (\S+)/m.exec(system)?.[1] ?? '';
    if (machine !== 'x86_64') {
      throw new KernelError(
        'unsupported-arch',
        `unsupported architecture with --engine crash (${machine}, only x86_64 is supported)`,
      );
    }
    this.facts = { release, arch: 'x86_64', pageSize: PAGE, source, engine: 'crash', live: source === 'kcore' };
    this.#directMap = this.#variable('page_offset_base');
    this.#vmemmap = this.#variable('vmemmap_base');
    const address = this.#directMap;
    this.pages = new PageMap({
      pageSize: PAGE,
      // It ends, at the latest, where the struct pages begin.
      directMap: () => ({ address, length: Number(this.#vmemmap - address), physical: 0 }),
      pageArray: () => this.#pageArray(),
    });
  }

  read(address: bigint, length: number): DataView {
    const offset = Number(address & PAGE_BITS);
    const first = address - BigInt(offset);
    if (offset + length <= PAGE) {
      const page = this.#page(first, address);
      return new DataView(page.buffer, page.byteOffset + offset, length);
    }
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = address + BigInt(done);
      const skip = Number(at & PAGE_BITS);
      const count = Math.min(PAGE - skip, length - done);
      const page = this.#page(at - BigInt(skip), at);
      bytes.set(new Uint8Array(page.buffer, page.byteOffset + skip, count), done);
      done += count;
    }
    return new DataView(bytes.buffer);
  }

  symbol(name: string): bigint | undefined {
    if (!this.#symbols.has(name)) this.#symbols.set(name, this.#querySymbol(name));
    return this.#symbols.get(name);
  }

  struct(name: string): StructLayout | undefined {
    if (!this.#structs.has(name)) this.#structs.set(name, this.#queryStruct(name));
    return this.#structs.get(name);
  }

  enumerators(name: string): ReadonlyMap<string, bigint> | undefined {
    if (!this.#enums.has(name)) {
      const text = PLAIN_NAME.test(name) ? this.#types.enumeration(name) : '';
      this.#enums.set(name, parseEnum(text));
    }
    return this.#enums.get(name);
  }

  noteReads(): () => void {
    if (!this.facts.live) return () => {};
    const outer = this.#noted;
    const noted = new Set<bigint>();
    this.#noted = noted;
    return () => {
      for (const page of noted) this.#pages.delete(page);
      if (this.#noted === noted) this.#noted = outer;
    };
  }

  close(): void {
    this.#session.close();
  }

  #pageArray(): PageArray {
    const stride = this.struct('page')?.size;
    if (!stride) throw new KernelError('unsupported-layout', 'crash: no struct page');
    return { address: this.#vmemmap, stride };
  }

  /** Returns the page at `first`, for a read that begins at `address`. */
  #page(first: bigint, address: bigint): DataView {
    this.#noted?.add(first);
    let page = this.#pages.get(first);
    if (page === undefined) {
      page = this.#readPage(first);
      if (this.#pages.size >= MAX_PAGES) {
        const oldest = this.#pages.keys().next();
        if (!oldest.done) this.#pages.delete(oldest.value);
      }
      this.#pages.set(first, page);
    }
    if (page instanceof DataView) return page;
    throw new ReadError(page.code, address, page.words);
  }

  #readPage(address: bigint): DataView | Refusal {
    // crash would treat any lower address as a user address of its current task.
    if (address < 2n ** 63n || address >= 2n ** 64n) return { code: 'unmapped', words: '' };
    const answer = this.#session.readMemory(address, PAGE);
    if (typeof answer !== 'string') return new DataView(answer.buffer, answer.byteOffset, PAGE);
    return { code: reasonOf(answer), words: `crash: ${answer.trim().slice(0, 200)}` };
  }

  #querySymbol(name: string): bigint | undefined {
    if (!PLAIN_NAME.test(name)) return undefined;
    const [answer = ''] = this.#session.execute([`sym ${name}`]);
    const lines = answer.split('\n').map((line) => /^([0-9a-f]{1,16}) \(\w\) (\S+)/.exec(line));
    const matches = lines.filter((line) => line?.[2] === name);
    // Static variables of several files can share a name: the match is ambiguous.
    return matches.length === 1 ? BigInt(`0x${matches[0]?.[1]}`) : undefined;
  }

  #queryStruct(name: string): StructLayout | undefined {
    const type = PLAIN_NAME.test(name) ? this.#types.struct(name) : undefined;
    return type && new CrashLayout(name, type, (inner) => this.struct(inner));
  }

  #variable(name: string): bigint {
    const address = this.symbol(name);
    if (address === undefined) throw new KernelError('no-symbols', `crash: no symbol ${name}`);
    return this.read(address, 8).getBigUint64(0, true);
  }
}

interface Refusal {
  readonly code: ReadErrorCode;
  readonly words: string;
}

/** Maps crash's read errors to codes (its `error_invalid` and readmem() messages). */
function reasonOf(words: string): ReadErrorCode {
  if (words.includes('page excluded')) return 'filtered';
  if (words.includes('seek error')) return 'absent';
  if (words.includes('invalid kernel virtual address')) return 'unmapped';
  return 'refused';
}
