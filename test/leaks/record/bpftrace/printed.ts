import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { BpftraceOutput } from '../../../../src/leaks/record/bpftrace/output.js';

/**
 * Output of the program in guests, by version of bpftrace and of the kernel: processes, files and sockets came and
 * went, and with 0.17 a module whose blocks are freed in parts.
 */
export const PRINTED = ['0.17-6.1', '0.23-6.12', '0.27-7.2'] as const;

export function printed(name: (typeof PRINTED)[number]): string {
  return gunzipSync(readFileSync(new URL(`printed/${name}.txt.gz`, import.meta.url))).toString();
}

export const BOUNDS = { maxKeys: 100_000, maxShown: 100_000 };

/** @param pieceBytes size of the pieces, as from a pipe */
export function understood(text: string, bounds = BOUNDS, pieceBytes = 65_536): BpftraceOutput {
  const output = new BpftraceOutput(bounds);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += pieceBytes) output.push(bytes.subarray(at, at + pieceBytes));
  return output;
}
