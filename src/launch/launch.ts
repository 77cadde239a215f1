#!/usr/bin/env node
// Becomes dist/bin/COMMAND.js (scripts/bundle.mjs): runs the requested bundle, with its V8 code cache
// if there is one. Compiling takes a sixth of a cold start.
import './node-version.js';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { CodeCache, isTypical } from './code-cache.js';

/** The command's name, and its subcommands with bundles of their own; inserted by the bundler. */
declare const KDUMP_MEM_COMMAND: string;
declare const KDUMP_MEM_SUBCOMMANDS: readonly string[];

/** A code file, and whether most of its runs do more than print help. */
interface Bundle {
  readonly filename: string;
  readonly acts: boolean;
}

/**
 * Returns the bundle for a command line: that of its subcommand, so that other code is not loaded; else
 * the command's own, which contains the help of all.
 *
 * @param folder contains the command's launcher
 */
function chooseBundle(folder: string, args: readonly string[]): Bundle {
  const first = args.find((argument) => argument !== '--');
  const own = first !== undefined && KDUMP_MEM_SUBCOMMANDS.includes(first);
  const name = own ? `${KDUMP_MEM_COMMAND}-${first}` : KDUMP_MEM_COMMAND;
  return { filename: join(folder, 'bundles', `${name}.js`), acts: own || KDUMP_MEM_SUBCOMMANDS.length === 0 };
}

// A decompressed page does not fit the default pool, and allocating each on its own takes a tenth of the time that a
// large dump takes.
Buffer.poolSize = 256 * 1024;

const args = process.argv.slice(2);
const { filename, acts } = chooseBundle(dirname(__filename), args);
const code = readFileSync(filename);
const cache = CodeCache.of(filename, code);
const cachedData = cache?.read();
// The code is pure ASCII (esbuild escapes the rest), so V8 needs one byte per character.
const script = new Script(code.toString('latin1'), { filename, ...(cachedData ? { cachedData } : {}) });
if (cache && (cachedData === undefined || script.cachedDataRejected)) {
  // Functions are compiled on their first call: at exit all that such a run needs are compiled.
  process.on('exit', (status) => {
    if (isTypical(status, args, acts)) cache.write(() => script.createCachedData());
  });
}
script.runInThisContext()(exports, require, module, filename, dirname(filename));
