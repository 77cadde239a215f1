// `scripts/lab dump NAME`: boots a kernel with the scenario and writes the paused guest's memory.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { madeOnce } from './made.mjs';
import { takePlugged } from './numa.mjs';
import { kernelFiles } from './paths.mjs';
import { bootScenario, scenarioRecipe, settledTruth } from './scenario.mjs';
import { variant } from './variants.mjs';
import { inWords } from './words.mjs';

await inWords(async () => {
  const [name = ''] = process.argv.slice(2);
  const options = variant(name);
  const recipe = `${scenarioRecipe()} ${kernelFiles(options.kernel).release}\n`;
  const files = isWhole(options)
    ? ['elf.vmcore', 'kdump-zlib.vmcore', 'truth.json', 'kpageflags', 'zoneinfo']
    : ['kdump-zlib.vmcore', 'truth.json'];
  await madeOnce(name, recipe, files, (work) => dumpInto(work, options));
});

/** An ELF dump takes as much space as the guest has memory. @param {import('./variants.mjs').Variant} options */
function isWhole({ memoryMiB }) {
  return memoryMiB <= 8192;
}

/**
 * @param {string} work a folder
 * @param {import('./variants.mjs').Variant} options
 */
async function dumpInto(work, options) {
  const guest = await bootScenario(options);
  try {
    if (options.numa) await takePlugged(guest);
    // What the kernel says of each page: 64 bits a page frame, from frame 0; and of zones.
    for (const file of isWhole(options) ? ['kpageflags', 'zoneinfo'] : []) {
      writeFileSync(join(work, file), (await guest.run(`cat /proc/${file}`)).output);
    }
    const truth = await settledTruth(guest);
    await guest.pause();
    if (isWhole(options)) await guest.dump('elf', join(work, 'elf.vmcore'));
    await guest.dump('kdump-zlib', join(work, 'kdump-zlib.vmcore'));
    writeFileSync(join(work, 'truth.json'), `${JSON.stringify(truth, null, 1)}\n`);
  } finally {
    guest.kill();
  }
}
