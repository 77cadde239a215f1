#!/usr/bin/env node
// Runs the bundle beside this file with the code cache that was made of it when it was built: compiling
// is 20 ms of a cold start. V8 refuses a cache of another version or of other settings, and compiles.
'use strict';
const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');

const filename = `${__filename.slice(0, -'.js'.length)}.bundle.js`;
// All of it is ASCII (esbuild escapes the rest), and so V8 needs one byte a character.
const code = readFileSync(filename, 'latin1');
let cachedData;
try {
  cachedData = readFileSync(`${filename}.cache`);
} catch {}
const source = `(function (exports, require, module, __filename, __dirname) {${code}\n})`;
const script = new Script(source, { filename, cachedData });
script.runInThisContext()(exports, require, module, filename, __dirname);
module.exports = script;
