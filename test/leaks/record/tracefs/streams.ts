import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import type { StreamPlan } from '../../../../src/leaks/record/tracefs/cpu-stream.js';
import { type Decoder, decoderOf, EVENTS } from '../../../../src/leaks/record/tracefs/kinds.js';
import { parseEventFormat, parsePageLayout } from '../../../../src/leaks/record/tracefs/page.js';
import { StackTable } from '../../../../src/leaks/site-frames.js';

export const KERNELS = ['5.10', '6.1', '6.12', 'newest'] as const;

export const PAGE_BYTES = 4096;

/**
 * Data of CPU 0 in a guest, recorded by a shell: pages from `trace_pipe_raw`, and the same events in the kernel's
 * own `trace`.
 */
const streamSchema = z.object({
  /** By path below tracefs; the print format is removed. */
  formats: z.record(z.string(), z.string()),
  /** Pages, base64: `mm_page_alloc` with options/stacktrace; `mm_page_free` and `mm_page_free_batched`. */
  allocations: z.string(),
  frees: z.string(),
  allocationsText: z.string(),
  freesText: z.string(),
  /** Address (hex) and name of the functions in the text. */
  symbols: z.array(z.tuple([z.string(), z.string()])),
});

export type Stream = z.infer<typeof streamSchema>;

export function streamOf(kernel: string): Stream {
  const file = join(import.meta.dirname, 'streams', `${kernel}.json.gz`);
  return streamSchema.parse(JSON.parse(gunzipSync(readFileSync(file)).toString()));
}

export function pagesOf(text: string): Buffer[] {
  const bytes = Buffer.from(text, 'base64');
  return Array.from({ length: bytes.length / PAGE_BYTES }, (_, page) =>
    bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES),
  );
}

export function planOf({ formats }: Pick<Stream, 'formats'>): StreamPlan {
  const decoders = new Map<number, Decoder>();
  const stack = { system: 'ftrace', name: 'kernel_stack', kind: 'stack' } as const;
  for (const { system, name, kind } of [...EVENTS.page.allocations, ...EVENTS.page.frees, stack]) {
    const format = parseEventFormat(formats[`events/${system}/${name}/format`] ?? '', name);
    decoders.set(format.id, decoderOf(kind, format));
  }
  const layout = parsePageLayout(formats['events/header_page'] ?? '', formats['events/header_event'] ?? '', null);
  return { layout, decoders, stacks: new StackTable(), origin: 0n };
}
