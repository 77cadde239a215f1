import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../machine/cpus.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { readOrNot } from '../read-or-not.js';
import { readUnsigned, StructReader } from '../struct-reader.js';

/**
 * Pages that CPUs cut the heads and fragments of received packets from (`netdev_alloc_cache`,
 * `napi_alloc_cache`; net/core/skbuff.c): the address of a `struct page` of each.
 *
 * @throws {ReadError}; {@link KernelError} `unsupported-layout`
 */
export function* cpuFragPages(kernel: Kernel): Generator<bigint> {
  const cpus = cpuMask(kernel, '__cpu_possible_mask');
  for (const [symbol, type, members] of [
    ['netdev_alloc_cache', 'page_frag_cache', ['']],
    ['napi_alloc_cache', 'napi_alloc_cache', ['page', 'page_small']],
  ] as const) {
    const template = kernel.symbol(symbol);
    const layout = kernel.struct(type);
    if (template === undefined || !layout) continue;
    for (const cpu of cpus) {
      const own = perCpuAddress(kernel, template, cpu);
      for (const name of members) {
        const member = name === '' ? { offset: 0, type } : layout.member(name);
        if (!member) continue;
        const cached = fragPage(kernel, member.type, own + BigInt(member.offset));
        if (cached !== undefined) yield cached;
      }
    }
  }
}

/**
 * A `page_frag_cache`: `va` and its bias, or since 6.13 `encoded_page`, whose low byte is the order
 * and a flag. A `page_frag_1k` cuts its page from the end: below `offset` lies what is left, with a
 * reference for each KiB, and a page used up is no longer its own.
 */
function fragPage(kernel: Kernel, type: string, address: bigint): bigint | undefined {
  const layout = kernel.struct(type);
  // A page_frag_1k is empty where pages are larger than 4 KiB.
  if (layout?.members.length === 0) return undefined;
  const pointer = layout?.member('encoded_page') ?? layout?.member('va');
  if (!pointer) throw new KernelError('unsupported-layout', `struct ${type} is of no known form`);
  const whole = `struct ${type}`;
  const value = pointerPartOf(kernel, whole, address, address + BigInt(pointer.offset));
  const into = layout?.member('encoded_page') ? value % BigInt(kernel.facts.pageSize) : 0n;
  const virtual = value - into;
  if (virtual === 0n) return undefined;
  const page = kernel.pages.pageOf(virtual);
  if (page === undefined) throw new KernelError('damaged', 'a page_frag_cache leads nowhere');
  const number = (name: string) => {
    const member = layout?.member(name);
    if (!member) throw new KernelError('unsupported-layout', `struct ${type} has no ${name}`);
    const at = address + BigInt(member.offset);
    return readUnsigned(readPartOf(kernel, whole, address, at, member.size), 0, member);
  };
  const references = layout?.member('pagecnt_bias')
    ? number('pagecnt_bias')
    : Math.floor(number('offset') / 1024);
  return references === 0 ? undefined : page;
}

/** A page that is cut into fragments. */
export interface FragPage {
  /** The address of its `struct page`. */
  readonly page: bigint;
  /** Bytes of its allocation, as who cuts it has noted; undefined: it does not, or the dump lacks that. */
  readonly size: number | undefined;
}

/** Pages that a task or a sock cuts what it sends from: `task_frag`, `sk_frag`. */
export class SendFrags {
  readonly #page;
  readonly #size;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    const task = { name: 'task_struct', frag: 'task_frag' } as const;
    const sock = { name: 'sock', frag: 'sk_frag' } as const;
    const readers = <Member extends 'page' | 'size'>(member: Member) => ({
      task: new StructReader(kernel, task.name, [`${task.frag}.${member}`]),
      sock: new StructReader(kernel, sock.name, [`${sock.frag}.${member}`]),
    });
    this.#page = readers('page');
    this.#size = readers('size');
  }

  /** @throws {ReadError} */
  ofTask(task: bigint): FragPage | undefined {
    const page = this.#page.task.read(task).pointer('task_frag.page');
    const size = () => this.#size.task.read(task).number('task_frag.size');
    return page === 0n ? undefined : { page, size: readOrNot(size) };
  }

  /** @throws {ReadError} */
  ofSock(sock: bigint): FragPage | undefined {
    const page = this.#page.sock.read(sock).pointer('sk_frag.page');
    const size = () => this.#size.sock.read(sock).number('sk_frag.size');
    return page === 0n ? undefined : { page, size: readOrNot(size) };
  }
}
