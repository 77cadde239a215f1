import { damaged, readOrNot, unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../cpus.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { readUnsigned, StructReader } from '../struct-reader.js';

/**
 * Pages that CPUs allocate the heads and fragments of received packets from (`netdev_alloc_cache`,
 * `napi_alloc_cache`; net/core/skbuff.c): addresses of their `struct page`s.
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
 * Returns the page of a `page_frag_cache` (`va` and its bias, or since 6.13 `encoded_page`, whose low byte is
 * the order and a flag) or of a `page_frag_1k`. The latter allocates from the end of its page: the part below
 * `offset` is free, with one reference per KiB. It does not own a used-up page.
 */
function fragPage(kernel: Kernel, type: string, address: bigint): bigint | undefined {
  const layout = kernel.struct(type);
  // A page_frag_1k is empty if pages are larger than 4 KiB.
  if (layout?.members.length === 0) return undefined;
  const pointer = layout?.member('encoded_page') ?? layout?.member('va');
  if (!pointer) throw unsupportedLayout(`struct ${type} has an unsupported layout`);
  const whole = `struct ${type}`;
  const value = pointerPartOf(kernel, whole, address, address + BigInt(pointer.offset));
  const into = layout?.member('encoded_page') ? value % BigInt(kernel.facts.pageSize) : 0n;
  const virtual = value - into;
  if (virtual === 0n) return undefined;
  const page = kernel.pages.pageOf(virtual);
  if (page === undefined) throw damaged('a page_frag_cache has an invalid pointer');
  const number = (name: string) => {
    const member = layout?.member(name);
    if (!member) throw unsupportedLayout(`struct ${type} has no ${name}`);
    const at = address + BigInt(member.offset);
    return readUnsigned(readPartOf(kernel, whole, address, at, member.size), 0, member);
  };
  const references = layout?.member('pagecnt_bias') ? number('pagecnt_bias') : Math.floor(number('offset') / 1024);
  return references === 0 ? undefined : page;
}

/** A page that is cut into fragments. */
export interface FragPage {
  /** The address of its `struct page`. */
  readonly page: bigint;
  /** Bytes of the allocation as recorded in the cache; undefined if it records none, or the dump lacks it. */
  readonly size: number | undefined;
}

/** Pages that a task or a sock fills with data to send: `task_frag`, `sk_frag`. */
export class SendFrags {
  readonly #page;
  readonly #size;

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

  ofTask(task: bigint): FragPage | undefined {
    const page = this.#page.task.read(task).pointer('task_frag.page');
    const size = () => this.#size.task.read(task).number('task_frag.size');
    return page === 0n ? undefined : { page, size: readOrNot(size) };
  }

  ofSock(sock: bigint): FragPage | undefined {
    const page = this.#page.sock.read(sock).pointer('sk_frag.page');
    const size = () => this.#size.sock.read(sock).number('sk_frag.size');
    return page === 0n ? undefined : { page, size: readOrNot(size) };
  }
}
