import { damaged, readOrNot, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { cpuMask } from '../cpus.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { splitRings, virtqueues } from '../network/virtqueues.js';
import { StructReader } from '../struct-reader.js';
import { fileTest } from '../tasks/files.js';
import { devicesOf } from './block-requests.js';
import type { EachFile } from './open-files.js';
import type { AddressRange } from './ram.js';

/**
 * Maximum number of pages of one ring: perf_event_mlock_kb does not limit root, but the array of page
 * pointers does.
 */
const MAX_PAGES = 2 ** 22;

/** Number of pointers read at a time: one page of them. */
const BATCH = 512;

/**
 * Frames of perf ring buffers (`struct perf_buffer` in kernel/events/internal.h): the page shared with the
 * reader, data pages, and the hardware's AUX pages.
 *
 * @param each iterates over files; files that are not perf events are skipped
 */
export function* perfRingFrames(kernel: Kernel, eachFile: EachFile): Generator<number> {
  // This kernel has no perf.
  if (!kernel.struct('perf_event')?.member('rb')) return;
  // Before 5.6 `ring_buffer`, which is also the name of an ftrace struct.
  const name = kernel.struct('perf_buffer') ? 'perf_buffer' : 'ring_buffer{data_pages}';
  const isEvent = fileTest(kernel, 'perf_fops', '[perf_event]');
  const file = new StructReader(kernel, 'file', ['private_data']);
  const event = new StructReader(kernel, 'perf_event', ['rb']);
  const ring = new StructReader(kernel, name, ['nr_pages', 'user_page', 'aux_nr_pages', 'aux_pages'] as const);
  const data = new StructReader(kernel, name, ['data_pages']).offset('data_pages');
  // With CONFIG_PERF_USE_VMALLOC the ring is one vmalloc area, which already includes its pages.
  const mapped = kernel.struct(name)?.member('page_order') !== undefined;
  const seen = new Set<bigint>([0n]);
  yield* eachFile(function* (address) {
    if (!isEvent(address)) return;
    const at = event.read(file.read(address).pointer('private_data')).pointer('rb');
    // Several events may share a ring buffer.
    if (seen.has(at)) return;
    const view = ring.read(at);
    const [own, count] = [view.pointer('user_page'), view.number('nr_pages')];
    const [auxiliary, auxiliaries] = [view.pointer('aux_pages'), view.number('aux_nr_pages')];
    if (!mapped) {
      yield frameOf(kernel, own);
      yield* framesAt(kernel, at + BigInt(data), count);
    }
    if (auxiliary !== 0n) yield* framesAt(kernel, auxiliary, auxiliaries);
    seen.add(at);
  });
}

/** Frames of the pages in an array of page addresses. */
function* framesAt(kernel: Kernel, array: bigint, count: number): Generator<number> {
  // perf_mmap accepts only powers of two.
  if (count !== 0 && !(count > 0 && count <= MAX_PAGES && Number.isInteger(Math.log2(count)))) {
    throw damaged(`the perf ring at ${hex(array)} claims ${count} pages`);
  }
  for (let first = 0; first < count; first += BATCH) {
    const many = Math.min(BATCH, count - first);
    const view = readPartOf(kernel, 'a perf ring', array, array + BigInt(8 * first), 8 * many);
    const pages = Array.from({ length: many }, (_, index) => view.getBigUint64(8 * index, true));
    for (const page of pages) yield frameOf(kernel, page);
  }
}

function frameOf(kernel: Kernel, page: bigint): number {
  const frame = kernel.pages.frameOf(new Pointer().set(page));
  if (frame >= 0) return frame;
  throw damaged(`a perf ring names ${hex(page)}, which is no memory`);
}

/**
 * The low bits of a link mark the positions of the writer and the reader (RB_PAGE_HEAD in
 * kernel/trace/ring_buffer.c).
 */
const FLAGS = 3n;

/** Frames of ftrace's ring buffers, for all instances and CPUs. */
export function* traceRingFrames(kernel: Kernel): Generator<number> {
  const arrays = kernel.symbol('ftrace_trace_arrays');
  // This kernel has no ftrace.
  if (arrays === undefined || !kernel.struct('ring_buffer_per_cpu')) return;
  const array = new StructReader(kernel, 'trace_array', ['list']);
  // Before 5.6 `trace_buffer` contains a pointer to the ring buffer, and is the struct called array_buffer
  // since then.
  const named = kernel.struct('trace_buffer');
  const type = named?.member('buffer') ? 'ring_buffer{buffers}' : 'trace_buffer';
  const buffer = new StructReader(kernel, type, ['buffers']);
  const cpu = new StructReader(kernel, 'ring_buffer_per_cpu', ['pages', 'reader_page', 'nr_pages']);
  const page = new StructReader(kernel, 'buffer_page', ['list', 'page']);
  const layout = kernel.struct('trace_array');
  const members = ['trace_buffer', 'array_buffer', 'max_buffer', 'snapshot_buffer'];
  const places = members.flatMap((name) => {
    const own = layout?.member(`${name}.buffer`);
    return own ? [{ offset: own.offset, data: layout?.member(`${name}.data`)?.offset }] : [];
  });
  const cpus = cpuMask(kernel, '__cpu_possible_mask');
  const online = new Set(cpuMask(kernel, '__cpu_online_mask'));
  const at = new Pointer();
  const frameOf = (pointer: bigint): number => {
    const memory = page.read(pointer).pointer('page');
    const frame = kernel.pages.frameOf(at.set(memory));
    if (frame >= 0) return frame;
    throw damaged(`a trace buffer names ${hex(memory)}, which is no memory`);
  };
  for (const instance of array.entryAddresses(arrays, 'list')) {
    for (const { offset, data } of places) {
      const whole = pointerPartOf(kernel, 'struct trace_array', instance, instance + BigInt(offset));
      if (whole === 0n) {
        // The data of each CPU is allocated and freed with the buffer.
        const at = instance + BigInt(data ?? 0);
        const kept = data === undefined ? 0n : readOrNot(() => kernel.read(at, 8).getBigUint64(0, true));
        if (kept) throw damaged(`the trace array at ${hex(instance)} has no buffer, but data of one`);
        continue;
      }
      const table = buffer.read(whole).pointer('buffers');
      for (const number of cpus) {
        const slot = table + BigInt(8 * number);
        const own = pointerPartOf(kernel, 'struct trace_buffer', whole, slot);
        if (own === 0n) {
          // A panic removes CPUs from the online mask, but not from the buffer's mask.
          if (!online.has(number) && !hasBuffer(kernel, type, whole, number)) continue;
          throw damaged(`a trace buffer has nothing of CPU ${number}`);
        }
        const view = cpu.read(own);
        const reader = view.pointer('reader_page');
        if (reader === 0n) throw damaged(`a trace buffer of CPU ${number} has no reader’s page`);
        yield frameOf(reader);
        const counted = view.number('nr_pages');
        const first = view.pointer('pages') & ~FLAGS;
        let link = first;
        let found = 0;
        do {
          if (link === 0n || found > Math.min(counted, MAX_PAGES)) break;
          const address = page.containerOf(link, 'list');
          yield frameOf(address);
          found++;
          link = pointerPartOf(kernel, 'struct buffer_page', address, link) & ~FLAGS;
        } while (link !== first);
        if (found !== counted) {
          const message = `a trace buffer of CPU ${number} counts ${counted} pages, and ${found} are there`;
          throw damaged(message);
        }
      }
    }
  }
}

/** Whether a buffer's own mask contains a CPU (`cpumask_var_t`: a pointer with CONFIG_CPUMASK_OFFSTACK). */
function hasBuffer(kernel: Kernel, type: string, whole: bigint, cpu: number): boolean {
  const mask = kernel.struct(type)?.member('cpumask');
  if (!mask) return false;
  const within = whole + BigInt(mask.offset);
  const bits = readOrNot(() => {
    const at = mask.pointer ? pointerPartOf(kernel, 'struct trace_buffer', whole, within) : within;
    return kernel.read(at + BigInt(cpu >>> 3), 1).getUint8(0);
  });
  return bits !== undefined && ((bits >>> (cpu & 7)) & 1) === 1;
}

/**
 * Address ranges of virtqueue rings, which drivers of disks, consoles and network cards share with the
 * hypervisor (vring_alloc_queue in drivers/virtio/virtio_ring.c). Their buffers are not included.
 *
 * @throws {KernelError} `unsupported-layout` after the last ring, if some are packed; `damaged`; {@link
 * ReadError}
 */
export function* virtioRings(kernel: Kernel): Generator<AddressRange> {
  let packed = 0;
  for (const address of devicesOf(kernel, 'bus', 'virtio')) {
    const device = new StructReader(kernel, 'virtio_device', ['dev']);
    for (const queue of virtqueues(kernel, device.containerOf(address, 'dev'))) {
      const [ring] = splitRings(kernel, queue.address);
      if (ring) yield { address: ring.desc, bytes: ring.bytes };
      else packed++;
    }
  }
  if (packed > 0) throw unsupportedLayout(`${packed} virtqueues have no ring of the split form`);
}
