import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { listNodes } from '../list.js';
import { cpuMask } from '../machine/cpus.js';
import { pointerPartOf } from '../named-read.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';

/** One CPU's buffer of an instance of ftrace. */
const MOST_PAGES = 2 ** 22;

/** The low bits of a link say where writer and reader are (RB_PAGE_HEAD in kernel/trace/ring_buffer.c). */
const FLAGS = 3n;

/**
 * Frames of ftrace's ring buffers, of all its instances and CPUs.
 *
 * @throws {KernelError} `unsupported-layout`, `damaged`; {@link TornList}; {@link ReadError}
 */
export function* traceRingFrames(kernel: Kernel): Generator<number> {
  const arrays = kernel.symbol('ftrace_trace_arrays');
  // A kernel without ftrace.
  if (arrays === undefined || !kernel.struct('ring_buffer_per_cpu')) return;
  const array = new StructReader(kernel, 'trace_array', ['list']);
  // Before 5.6 `trace_buffer` names it, and is itself what is called array_buffer since.
  const named = kernel.struct('trace_buffer');
  const type = named?.member('buffer') ? 'ring_buffer{buffers}' : 'trace_buffer';
  const buffer = new StructReader(kernel, type, ['buffers']);
  const cpu = new StructReader(kernel, 'ring_buffer_per_cpu', ['pages', 'reader_page', 'nr_pages']);
  const page = new StructReader(kernel, 'buffer_page', ['list', 'page']);
  const layout = kernel.struct('trace_array');
  const members = [
    'trace_buffer.buffer',
    'array_buffer.buffer',
    'max_buffer.buffer',
    'snapshot_buffer.buffer',
  ];
  const offsets = members.flatMap((path) => layout?.member(path)?.offset ?? []);
  const cpus = cpuMask(kernel, '__cpu_possible_mask');
  const online = new Set(cpuMask(kernel, '__cpu_online_mask'));
  const at = new Pointer();
  const frameOf = (one: bigint): number => {
    const memory = page.read(one).pointer('page');
    const frame = kernel.pages.frameOf(at.set(memory));
    if (frame >= 0) return frame;
    throw new KernelError('damaged', `a trace buffer names ${hex(memory)}, which is no memory`);
  };
  for (const node of listNodes(kernel, arrays)) {
    const instance = node - BigInt(array.offset('list'));
    for (const offset of offsets) {
      const whole = pointerPartOf(
        kernel,
        'struct trace_array',
        instance,
        instance + BigInt(offset),
      );
      if (whole === 0n) continue;
      const table = buffer.read(whole).pointer('buffers');
      for (const number of cpus) {
        const slot = table + BigInt(8 * number);
        const own = pointerPartOf(kernel, 'struct trace_buffer', whole, slot);
        if (own === 0n) {
          // A panic takes CPUs out of the online mask, and leaves them in the buffer's.
          if (!online.has(number) && !hasBuffer(kernel, type, whole, number)) continue;
          throw new KernelError('damaged', `a trace buffer has nothing of CPU ${number}`);
        }
        const view = cpu.read(own);
        const reader = view.pointer('reader_page');
        if (reader === 0n)
          throw new KernelError('damaged', `a trace buffer of CPU ${number} has no reader’s page`);
        yield frameOf(reader);
        const counted = view.number('nr_pages');
        const first = view.pointer('pages') & ~FLAGS;
        let link = first;
        let found = 0;
        do {
          if (link === 0n || found > Math.min(counted, MOST_PAGES)) break;
          const one = link - BigInt(page.offset('list'));
          yield frameOf(one);
          found++;
          link = pointerPartOf(kernel, 'struct buffer_page', one, link) & ~FLAGS;
        } while (link !== first);
        if (found !== counted) {
          const message = `a trace buffer of CPU ${number} counts ${counted} pages, and ${found} are there`;
          throw new KernelError('damaged', message);
        }
      }
    }
  }
}

/** Whether a buffer's own mask has a CPU (`cpumask_var_t`: a pointer with CONFIG_CPUMASK_OFFSTACK). */
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
