// A program of this machine or of the lab's tools, with its libraries, as files for a guest.
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { machineOf } from './machines.mjs';
import { LAB, need } from './paths.mjs';

/** @typedef {import('./initramfs.mjs').GuestFile} GuestFile */

/**
 * A program of the lab's tools (crash, makedumpfile, kexec, …) at /tools/NAME. The libraries are not
 * those of {@link machineProgram}: both can be in one guest.
 *
 * @param {string} path under the tools' root, for example usr/bin/makedumpfile
 * @param {string} [kernel] of the guest: a kernel of the lab; one for a PC unless told
 * @returns {GuestFile[]} with the program as /bin/NAME
 */
export function toolProgram(path, kernel = '') {
  const machine = machineOf(kernel);
  const root = join(LAB, machine.tools);
  const program = need(join(root, path), machine.toolsStep);
  const name = basename(path);
  return [
    { path: '/tools/ld.so', from: join(root, machine.loader) },
    ...neededBy(program, join(root, machine.libraries)).map((from) => ({ path: `/tools/lib/${basename(from)}`, from })),
    { path: `/tools/${name}`, from: program },
    {
      path: `/bin/${name}`,
      data: `#!/bin/sh\nexec /tools/ld.so --library-path /tools/lib --argv0 ${name} /tools/${name} "$@"\n`,
    },
  ];
}

/**
 * The shared libraries of a program that need not run here, and theirs.
 *
 * @param {string} program
 * @param {string} folder where they are
 * @returns {string[]} paths
 */
export function neededBy(program, folder) {
  /** @type {Set<string>} */
  const found = new Set();
  const look = (/** @type {string} */ file) => {
    const said = execFileSync('readelf', ['-dW', file], { encoding: 'utf8' });
    for (const [, name = ''] of said.matchAll(/\(NEEDED\).*\[(.+)\]/g)) {
      const path = join(folder, name);
      if (name.startsWith('ld-linux') || found.has(path)) continue;
      found.add(path);
      look(path);
    }
  };
  look(program);
  return [...found];
}

/**
 * A program of this machine (node, ss, …) at the path that it has here.
 *
 * @param {string} path absolute
 * @returns {GuestFile[]}
 */
export function machineProgram(path) {
  const list = execFileSync('ldd', [path], { encoding: 'utf8' });
  const loader = /^\s*(\/\S*ld-linux\S*)/m.exec(list)?.[1];
  const libraries = [...list.matchAll(/=> (\/\S+)/g)].flatMap(([, library]) =>
    library === undefined || library.includes('ld-linux') ? [] : [library],
  );
  return [
    { path, from: path },
    ...(loader === undefined ? [] : [{ path: loader, from: loader }]),
    ...libraries.map((from) => ({ path: from, from })),
  ];
}

/**
 * A folder with all that is in it, for example our own `dist` with a `node_modules`.
 *
 * @param {string} from on this machine
 * @param {string} path in the guest
 * @param {(file: string) => boolean} [wanted] of a path relative to `from`; all unless told
 * @returns {GuestFile[]}
 */
export function folder(from, path, wanted = () => true) {
  return readdirSync(from, { recursive: true, encoding: 'utf8' })
    .filter((file) => wanted(file) && statSync(join(from, file)).isFile())
    .map((file) => ({ path: `${path}/${file}`, from: join(from, file) }));
}
