#!/usr/bin/env node
// Becomes dist/bin/COMMAND.js (scripts/bundle.mjs): runs the requested bundle, with its V8 code cache
// if there is one. Compiling takes a sixth of a cold start.
import './node-version.js';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Script } from 'node:vm';
import { chooseBundle } from './choose-bundle.js';
import { CodeCache, isTypical } from './code-cache.js';

const args = process.argv.slice(2);
const { filename, acts } = chooseBundle(dirname(__filename), args);
const code = readFileSync(filename);
const cache = CodeCache.of(filename, code);
const cachedData = cache?.read();
// The code is pure ASCII (esbuild escapes the rest), so V8 needs one byte per character.
const script = new Script(code.toString('latin1'), {
  filename,
  ...(cachedData ? { cachedData } : {}),
});
if (cache && (cachedData === undefined || script.cachedDataRejected)) {
  // Functions are compiled on their first call: at exit all that such a run needs are compiled.
  process.on('exit', (status) => {
    if (isTypical(status, args, acts)) cache.write(() => script.createCachedData());
  });
}
script.runInThisContext()(exports, require, module, filename, dirname(filename));
