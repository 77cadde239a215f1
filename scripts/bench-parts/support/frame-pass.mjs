// The pass over all struct pages alone, once, in a process that has done nothing else: seconds, and the
// counts.
//
//   node frame-pass.mjs VMCORE

import { openNative } from '../../../dist/kernel/native/open.js';
import { FrameMap } from '../../../dist/walk/memory/frame-map.js';
import { scanFrames } from '../../../dist/walk/memory/frame-scan.js';
import { KIND } from '../../../dist/walk/memory/page-kinds.js';
import { ramRanges } from '../../../dist/walk/memory/ram.js';

const kernel = openNative({ files: [process.argv[2]] });
const frames = new FrameMap(ramRanges(kernel));
const start = performance.now();
const { kinds } = scanFrames(kernel, frames);
const seconds = (performance.now() - start) / 1000;
const counts = new Array(64).fill(0);
for (const kind of kinds) counts[kind]++;
const slab = counts[KIND.slab] + counts[KIND['slab-reclaimable']];
const found = { frames: frames.size, slab, reserved: counts[KIND.reserved] };
process.stdout.write(`${JSON.stringify({ ...found, seconds })}\n`);
kernel.close();
