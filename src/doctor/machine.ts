import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { attempt } from '../base/errors/host.js';
import { searchPath } from '../base/program-path.js';
import { liveHost } from '../host/live.js';
import { openNative } from '../kernel/native/open.js';
import type { Machine } from './check.js';

/** A program says its version at once. */
const PATIENCE_MS = 10_000;

/** This machine. */
export const here: Machine = {
  uid: process.geteuid?.() ?? -1,
  readText: (path) => liveHost.readText(path),
  readLink: (path) => liveHost.readLink(path),
  list: (path) => liveHost.list(path),
  open: (path, reads = true) =>
    attempt(path, () => {
      const file = openSync(path, 'r');
      try {
        if (reads) readSync(file, Buffer.alloc(8));
      } finally {
        closeSync(file);
      }
    }),
  run: (program, args) => {
    const { error, status, stdout, stderr } = spawnSync(program, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PATIENCE_MS,
      killSignal: 'SIGKILL',
      env: { ...process.env, LC_ALL: 'C', PATH: searchPath() },
    });
    if (error && 'code' in error && error.code === 'ENOENT') return null;
    const said = `${stdout ?? ''}\n${stderr ?? ''}`.split('\n').find((line) => line.trim() !== '');
    if (error) return { line: `${program} cannot be started (${error.message})`, ok: false };
    return { line: said ?? `${program} printed nothing`, ok: status === 0 };
  },
  openKernel: () => {
    const kernel = openNative({ files: [], live: true });
    try {
      const { symbols, types } = kernel.provenance;
      const lacking = [
        ...(symbols.found ? [] : [`no symbols: ${symbols.why}`]),
        ...(types.found ? [] : [`no types: ${types.why}`]),
      ];
      return { lacking, release: kernel.facts.release };
    } finally {
      kernel.close();
    }
  },
};
