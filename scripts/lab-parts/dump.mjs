// `scripts/lab dump VER`: boots the kernel with the scenario and writes the paused guest's memory.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { LAB } from './paths.mjs';
import { bootScenario, readTruth, scenarioRecipe } from './scenario.mjs';

const [version] = process.argv.slice(2);
if (version === undefined) throw new Error('usage: dump.mjs VER');

const FILES = ['elf.vmcore', 'kdump-zlib.vmcore', 'truth.json', 'recipe'];
const folder = join(LAB, 'dumps', version);
const recipe = `${scenarioRecipe()}\n`;
if (!isMade()) await make();

function isMade() {
  if (!FILES.every((name) => existsSync(join(folder, name)))) return false;
  return readFileSync(join(folder, 'recipe'), 'utf8') === recipe;
}

async function make() {
  // Older dumps stay in use until all of the new ones are there.
  const work = join(folder, `.new-${process.pid}`);
  mkdirSync(work, { recursive: true });
  const guest = await bootScenario({ kernel: version ?? '', limitMs: 240_000 });
  try {
    const truth = await settledTruth(guest);
    await guest.pause();
    await guest.dump('elf', join(work, 'elf.vmcore'));
    await guest.dump('kdump-zlib', join(work, 'kdump-zlib.vmcore'));
    writeFileSync(join(work, 'truth.json'), `${JSON.stringify(truth, null, 1)}\n`);
    writeFileSync(join(work, 'recipe'), recipe);
    for (const name of FILES) renameSync(join(work, name), join(folder, name));
  } finally {
    guest.kill();
    rmSync(work, { recursive: true, force: true });
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
