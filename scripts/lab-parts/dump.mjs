// `scripts/lab dump VER`: boots the kernel with the scenario and writes the paused guest's memory.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LAB } from './paths.mjs';
import { bootScenario, scenarioRecipe, settledTruth } from './scenario.mjs';

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
