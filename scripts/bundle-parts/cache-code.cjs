// Runs a command of dist/bin and keeps what V8 compiled of it: functions are compiled when they are
// first called, and the cache has those that were.
//
//   node cache-code.cjs COMMAND.js ARGUMENT...
'use strict';
const { writeFileSync } = require('node:fs');
const { resolve } = require('node:path');

const [node, , command, ...args] = process.argv;
const path = resolve(command);
process.argv = [node, path, ...args];
const script = require(path);
process.on('exit', () => {
  writeFileSync(path.replace(/\.js$/, '.bundle.js.cache'), script.createCachedData());
  // What it found out does not matter here.
  process.exitCode = 0;
});
