// `scripts/lab dump VER`: boots the kernel with the scenario and writes the paused guest's memory.
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { LAB } from './paths.mjs';
import { bootScenario, readTruth } from './scenario.mjs';

const [version] = process.argv.slice(2);
if (version === undefined) throw new Error('usage: dump.mjs VER');

const folder = join(LAB, 'dumps', version);
const truthFile = join(folder, 'truth.json');
if (!existsSync(truthFile)) {
  mkdirSync(folder, { recursive: true });
  const guest = await bootScenario({ kernel: version, limitMs: 240_000 });
  try {
    const truth = await settledTruth(guest);
    await guest.pause();
    await guest.dump('elf', join(folder, 'elf.vmcore'));
    await guest.dump('kdump-zlib', join(folder, 'kdump-zlib.vmcore'));
    writeFileSync(`${truthFile}.partial`, `${JSON.stringify(truth, null, 1)}\n`);
    renameSync(`${truthFile}.partial`, truthFile);
  } finally {
    guest.kill();
  }
}

/**
 * Two looks that agree: nothing is on its way any more.
 *
 * @param {import('./guest.mjs').Guest} guest
 */
async function settledTruth(guest) {
  let last = await readTruth(guest);
  for (let tries = 0; tries < 50; tries++) {
    const next = await readTruth(guest);
    if (isDeepStrictEqual(last, next)) return next;
    last = next;
  }
  throw new Error('the guest does not come to rest');
}
