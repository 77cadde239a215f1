import { closeSync, openSync, writeSync } from 'node:fs';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { PageReader } from '../../../src/walk/pages/pages.js';
import { skbCaches } from '../../../src/walk/pages/slab-caches.js';
import { SocketFinder } from '../../../src/walk/sockets/socket.js';
import { findFile } from '../../../src/walk/tasks/files.js';
import { findTask } from '../../../src/walk/tasks/task-table.js';
import { writeElf } from './elf.js';
import { GrownMemory, PAGE } from './grown-memory.js';

/** Additional contents of a queue, in bytes. */
export interface Growth {
  readonly skbs: number;
  readonly payloadBytes: number;
  readonly truesizeBytes: number;
  readonly frags: number;
  readonly pages: number;
  readonly slabBytes: number;
}

/**
 * The kind of skbs: single ones, or second halves of pairs (`sk_buff_fclones`). Their first halves are
 * clones in no queue, as after sending over loopback until they are freed.
 */
export type GrownSkbs = 'plain' | 'clones';

/** Like a network card of 6.1 with small packets: heads of 1 KiB, four to a page. */
const HEAD = 1024;
const HEADS_PER_PAGE = PAGE / HEAD;
const LINEAR = 100;
const HEADROOM = 64;
/** Buffers of 1 KiB, also four to a page. */
const FRAG = 600;
const FRAGS_PER_PAGE = 4;
/** `skb->fclone` of the second half of a pair. */
const FCLONE_CLONE = 2;

/**
 * Writes a real x86_64 dump in which the receive queue of one socket has grown by this many skbs, each with
 * a head and one frag, in memory after the end of the machine's: an ELF core of 1.3 KB per skb. The contents of the
 * frags are left out, as by a filter.
 *
 * @param base a small dump
 * @param of the process and the descriptor of the socket
 */
export function writeGrownQueue(
  path: string,
  base: string,
  of: { readonly pid: number; readonly fd: number },
  skbs: number,
  kind: GrownSkbs = 'plain',
): Growth {
  const kernel = openNative({ files: [base] });
  try {
    const memory = new GrownMemory(kernel);
    const { file } = findFile(kernel, findTask(kernel, of.pid), of.fd);
    const sock = new SocketFinder(kernel).find(file)?.sock;
    if (sock === undefined) throw new Error(`fd ${of.fd} of pid ${of.pid} is no socket`);
    const queue = sock + BigInt(memory.offset('sock', 'sk_receive_queue'));
    const next = (address: bigint) => kernel.read(address, 16).getBigUint64(0, true);
    const previous = (address: bigint) => kernel.read(address, 16).getBigUint64(8, true);

    const { slotSize, address: cache } = kind === 'plain' ? skbCache(kernel, next(queue)) : pairCache(kernel);
    // Offset of the skb in its slot.
    const inSlot = kind === 'plain' ? 0 : memory.offset('sk_buff_fclones', 'skb2');
    const perSlab = Math.floor(PAGE / slotSize);
    const slabs = memory.take(Math.ceil(skbs / perSlab));
    const heads = memory.take(Math.ceil(skbs / HEADS_PER_PAGE));
    const frags = memory.take(Math.ceil(skbs / FRAGS_PER_PAGE));
    memory.pages(slabs, memory.slabPage(cache, perSlab));
    memory.pages(heads, memory.page(HEADS_PER_PAGE));
    memory.pages(frags, memory.page(FRAGS_PER_PAGE));

    const skbAt = (index: number) =>
      memory.addressOf(slabs.frame + Math.floor(index / perSlab)) + BigInt((index % perSlab) * slotSize + inSlot);
    const headAt = (index: number) => memory.addressOf(heads.frame) + BigInt(index * HEAD);
    const at = (member: string) => memory.offset('sk_buff', member);
    const info = (member: string) => memory.offset('skb_shared_info', member);
    const fields = {
      len: at('len'),
      dataLen: at('data_len'),
      truesize: at('truesize'),
      head: at('head'),
      data: at('data'),
      tail: at('tail'),
      end: at('end'),
      users: at('users.refs.counter'),
      frags: info('nr_frags'),
      references: info('dataref.counter'),
      frag: info('frags'),
      page: memory.offset('skb_frag_t', 'bv_page'),
      length: memory.offset('skb_frag_t', 'bv_len'),
      into: memory.offset('skb_frag_t', 'bv_offset'),
    };
    const end = HEAD - memory.size('skb_shared_info');
    const truesize = 2 * HEAD + slotSize;
    const last = previous(queue);

    const fillSlab = (view: DataView, page: number): void => {
      for (let slot = 0; slot < perSlab; slot++) {
        const index = page * perSlab + slot;
        if (index >= skbs) return;
        const base = slot * slotSize + inSlot;
        view.setBigUint64(base, index + 1 < skbs ? skbAt(index + 1) : queue, true);
        view.setBigUint64(base + 8, index > 0 ? skbAt(index - 1) : last, true);
        view.setUint32(base + fields.len, LINEAR + FRAG, true);
        view.setUint32(base + fields.dataLen, FRAG, true);
        view.setUint32(base + fields.truesize, truesize, true);
        view.setBigUint64(base + fields.head, headAt(index), true);
        view.setBigUint64(base + fields.data, headAt(index) + BigInt(HEADROOM), true);
        view.setUint32(base + fields.tail, HEADROOM + LINEAR, true);
        view.setUint32(base + fields.end, end, true);
        view.setUint32(base + fields.users, 1, true);
        if (kind === 'plain') continue;
        view.setUint32(slot * slotSize + memory.offset('sk_buff_fclones', 'fclone_ref'), 2, true);
        memory.setBits(view, base, 'sk_buff', 'cloned', 1);
        memory.setBits(view, base, 'sk_buff', 'fclone', FCLONE_CLONE);
      }
    };
    const fillHeads = (view: DataView, page: number): void => {
      for (let slot = 0; slot < HEADS_PER_PAGE; slot++) {
        const index = page * HEADS_PER_PAGE + slot;
        if (index >= skbs) return;
        const base = slot * HEAD + end;
        const frag = base + fields.frag;
        view.setUint8(base + fields.frags, 1);
        view.setUint32(base + fields.references, kind === 'plain' ? 1 : 2, true);
        const frame = frags.frame + Math.floor(index / FRAGS_PER_PAGE);
        view.setBigUint64(frag + fields.page, memory.pageAddress(frame), true);
        view.setUint32(frag + fields.length, FRAG, true);
        view.setUint32(frag + fields.into, (index % FRAGS_PER_PAGE) * (PAGE / FRAGS_PER_PAGE), true);
      }
    };

    memory.patch(last, skbAt(0), 8);
    memory.patch(queue + 8n, skbAt(skbs - 1), 8);
    const length = queue + BigInt(memory.offset('sk_buff_head', 'qlen'));
    memory.patch(length, BigInt(kernel.read(length, 4).getUint32(0, true) + skbs), 4);
    const received = sock + BigInt(memory.offset('tcp_sock', 'rcv_nxt'));
    const sequence = kernel.read(received, 4).getUint32(0, true) + skbs * (LINEAR + FRAG);
    memory.patch(received, BigInt(sequence % 2 ** 32), 4);
    const charged = sock + BigInt(memory.offset('sock', 'sk_backlog.rmem_alloc.counter'));
    const charge = kernel.read(charged, 4).getUint32(0, true) + skbs * truesize;
    memory.patch(charged, BigInt(charge % 2 ** 32), 4);
    write(path, memory, [
      [slabs.frame, slabs.count, fillSlab],
      [heads.frame, heads.count, fillHeads],
    ]);
    return {
      skbs,
      payloadBytes: skbs * (LINEAR + FRAG),
      truesizeBytes: skbs * truesize,
      frags: skbs,
      pages: heads.count + frags.count,
      slabBytes: skbs * slotSize,
    };
  } finally {
    kernel.close();
  }
}

interface Cache {
  readonly address: bigint;
  readonly slotSize: number;
}

/** The slab cache of an skb. */
function skbCache(kernel: NativeKernel, skb: bigint): Cache {
  const slab = new PageReader(kernel).block(kernel.pages.pageOf(skb) ?? 0n);
  if (slab.kind !== 'slab') throw new Error('the first skb is in no slab');
  return slab.cache;
}

function pairCache(kernel: NativeKernel): Cache {
  const cache = skbCaches(kernel).find(({ kind }) => kind === 'skb-fclones');
  if (!cache) throw new Error('the kernel names no cache of pairs of skbs');
  return { address: cache.address, slotSize: cache.size };
}

/** Fills the page with this number, counted from the first of the region, in a view of zeros. */
type Fill = (view: DataView, page: number) => void;

/** Number of pages that are written at a time. */
const PAGES_PER_WRITE = 256;

function write(
  path: string,
  memory: GrownMemory,
  regions: readonly (readonly [frame: number, count: number, fill: Fill])[],
): void {
  const loads = memory.loads();
  const spec = (from: number) => {
    let at = from;
    const more = regions.map(([frame, count]) => {
      const load = {
        physical: BigInt(frame * PAGE),
        data: new Uint8Array(0),
        fileSize: count * PAGE,
        memorySize: count * PAGE,
        offset: BigInt(at),
      };
      at += count * PAGE;
      return load;
    });
    return { loads: [...loads, ...more], notes: memory.notes() };
  };
  const file = openSync(path, 'w');
  try {
    let at = Math.ceil(writeElf(spec(0)).length / PAGE) * PAGE;
    writeSync(file, writeElf(spec(at)), 0, undefined, 0);
    const bytes = new Uint8Array(PAGES_PER_WRITE * PAGE);
    for (const [, count, fill] of regions) {
      for (let page = 0; page < count; page += PAGES_PER_WRITE) {
        const pages = Math.min(PAGES_PER_WRITE, count - page);
        bytes.fill(0);
        for (let index = 0; index < pages; index++) fill(new DataView(bytes.buffer, index * PAGE, PAGE), page + index);
        writeSync(file, bytes, 0, pages * PAGE, at);
        at += pages * PAGE;
      }
    }
  } finally {
    closeSync(file);
  }
}
