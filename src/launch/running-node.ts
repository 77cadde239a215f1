import { type BigIntStats, readFileSync, statSync } from 'node:fs';

/**
 * Tells the node that runs from every other: V8's code cache crashes, without a word, in a build that
 * did not make it, and V8 itself asks only for its own version, which many releases of node share.
 * What tells them apart is the file of the program and, where node is a shared library
 * (Debian's), of that; distributions build one version more than once.
 *
 * @returns null where that cannot be known for sure
 * @throws if a file of it cannot be looked at
 */
export function runningNode(): string | null {
  // What V8 compiles to depends on its flags too. It looks at them itself, but two settings in turn
  // should not replace each other's cache. Byte code does not depend on the CPU's model.
  const settings = [process.versions, process.arch, process.execArgv, process.env.NODE_OPTIONS];
  if (process.platform !== 'linux') {
    // Nothing tells which library was loaded.
    if (Reflect.get(process.config.variables, 'node_shared')) return null;
    return JSON.stringify([...settings, process.execPath, identity(statOf(process.execPath))]);
  }
  // The file that runs, even if another lies at its path by now.
  const program = identity(statOf('/proc/self/exe'));
  const libraries = mappedLibraries(readFileSync('/proc/self/maps', 'utf8'));
  return JSON.stringify([...settings, process.execPath, program, libraries]);
}

/**
 * The libnode files in a /proc/PID/maps (proc_pid_maps(5)), each as its path and identity.
 *
 * @throws if one no longer lies at its path, as after an upgrade: it is called "… (deleted)" then
 */
function mappedLibraries(maps: string): readonly string[] {
  const paths = maps.match(/(?<= )\/.*\/libnode[^/\n]*$/gm) ?? [];
  return [...new Set(paths)].map((path) => `${path} ${identity(statOf(path))}`);
}

function statOf(path: string): BigIntStats {
  return statSync(path, { bigint: true });
}

/** The change time is there for what has the same inode and time of modification on two machines. */
function identity({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [ino, size, mtimeNs, ctimeNs].join(' ');
}
