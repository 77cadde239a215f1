#!/usr/bin/env node
// Becomes dist/bin/COMMAND.js (scripts/bundle.mjs): runs the bundle of what was asked for, with V8's
// code cache of it where there is one. Compiling is a sixth of a cold start.
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
// All of it is ASCII (esbuild escapes the rest), and so V8 needs one byte a character.
const script = new Script(code.toString('latin1'), {
  filename,
  ...(cachedData ? { cachedData } : {}),
});
if (cache && (cachedData === undefined || script.cachedDataRejected)) {
  // Functions are compiled when they are first called: at the end all are that such a run needs.
  process.on('exit', (status) => {
    if (isTypical(status, args, acts)) cache.write(() => script.createCachedData());
  });
}
script.runInThisContext()(exports, require, module, filename, dirname(filename));
