// A pass over the memory of a dump, for different numbers of targets: seconds, GB/s, CPU time, compared with a `cat` of
// the file in turn. Medians.
//
//   node scripts/bench-parts/support/pass-rate.mjs DUMP [ROUNDS]
import { spawnSync } from 'node:child_process';
import { openNative } from '../../../dist/kernel/native/open.js';
import { onlineRanges, ramRanges } from '../../../dist/walk/memory/ram.js';
import { passOver } from '../../../dist/walk/references/memory-pass.js';
import { Targets } from '../../../dist/walk/references/target-index.js';

const [dump, rounds = '5'] = process.argv.slice(2);
const kernel = openNative({ files: [dump] });
const { pageSize } = kernel.facts;
const ram = onlineRanges(kernel, ramRanges(kernel));
const ranges = ram.map(({ start, end }) => ({ start: start * pageSize, end: end * pageSize }));
const total = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
const largest = ranges.toSorted((a, b) => b.end - b.start - (a.end - a.start))[0];

/** Objects of 64 bytes, evenly spread over the largest range of memory. */
function spread(count) {
  const targets = new Targets();
  const step = Math.floor((largest.end - largest.start) / count / 64) * 64;
  for (let number = 0; number < count; number++)
    targets.add({ start: largest.start + number * step, length: 64, complete: false });
  return targets.index(kernel).index;
}

async function pass(index) {
  let hits = 0;
  const begun = performance.now();
  const before = process.cpuUsage();
  await passOver(kernel.physical, ranges, index, {
    hits: (_, { words }) => {
      hits += words.length;
    },
    missing: () => {},
  });
  const { user, system } = process.cpuUsage(before);
  return { seconds: (performance.now() - begun) / 1000, cpu: (user + system) / 1e6, hits };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const cases = [1, 1000, 100_000, 1_000_000].map((count) => ({
  count,
  index: spread(count),
  seconds: [],
  cpu: [],
  hits: 0,
}));
const cat = [];
for (let round = 0; round < Number(rounds); round++) {
  const begun = performance.now();
  spawnSync('sh', ['-c', `cat '${dump}' >/dev/null`]);
  cat.push((performance.now() - begun) / 1000);
  for (const one of cases) {
    const { seconds, cpu, hits } = await pass(one.index);
    one.seconds.push(seconds);
    one.cpu.push(cpu);
    one.hits = hits;
  }
}
for (const { count, seconds, cpu, hits } of cases) {
  const time = median(seconds);
  const rate = (total / time / 1e9).toFixed(2);
  const ratio = (time / median(cat)).toFixed(2);
  const used = median(cpu);
  const perCore = (total / used / 1e9).toFixed(2);
  const words = `${time.toFixed(3)} s, ${rate} GB/s, ${ratio} of cat`;
  console.log(`${count} targets: ${words}; CPU time ${used.toFixed(3)} s, ${perCore} GB/s a core; ${hits} hits`);
}
console.log(`peak: ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`);
kernel.close();
