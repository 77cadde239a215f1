// A program of this machine or of the lab's tools, with its libraries, as files for a guest.
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LAB, need } from './paths.mjs';

/** @typedef {import('./initramfs.mjs').GuestFile} GuestFile */

/**
 * A program of the lab's tools (crash, makedumpfile, kexec, …) at /tools/NAME. The libraries are not
 * those of {@link machineProgram}: both can be in one guest.
 *
 * @param {string} path under the tools' root, for example usr/bin/makedumpfile
 * @returns {GuestFile[]} with the program as /bin/NAME
 */
export function toolProgram(path) {
  const root = join(LAB, 'tools');
  const program = need(join(root, path), 'scripts/lab tools');
  const loader = join(root, 'usr/lib64/ld-linux-x86-64.so.2');
  const folder = join(root, 'usr/lib/x86_64-linux-gnu');
  const list = execFileSync(loader, ['--library-path', folder, '--list', program], {
    encoding: 'utf8',
  });
  const name = path.split('/').at(-1);
  return [
    { path: '/tools/ld.so', from: loader },
    ...libraries(list).map((from) => ({ path: `/tools/lib/${from.split('/').at(-1)}`, from })),
    { path: `/tools/${name}`, from: program },
    {
      path: `/bin/${name}`,
      data: `#!/bin/sh\nexec /tools/ld.so --library-path /tools/lib --argv0 ${name} /tools/${name} "$@"\n`,
    },
  ];
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
  return [
    { path, from: path },
    ...(loader === undefined ? [] : [{ path: loader, from: loader }]),
    ...libraries(list).map((from) => ({ path: from, from })),
  ];
}

/** @param {string} list what ldd or ld.so --list prints */
function libraries(list) {
  return [...list.matchAll(/=> (\/\S+)/g)].flatMap(([, path]) =>
    path === undefined || path.includes('ld-linux') ? [] : [path],
  );
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
