import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { StoreError } from './error.js';

/**
 * Sees to it that one process alone stores into a file: an abstract socket has the name of its folder (by device and
 * inode) and its own. The kernel gives it up with the process, however that ends. It is not seen from other network
 * namespaces: {@link LineStore} notices what comes from there.
 *
 * @returns gives it up
 * @throws {StoreError} `locked`: another one has it; `cannot-write`: there is no such folder
 */
export async function lockStore(file: string): Promise<() => void> {
  const server = createServer((socket) => socket.destroy());
  // It keeps no process alive.
  server.unref();
  server.listen({ path: `\0kdump-mem-${nameOf(file)}` });
  try {
    await once(server, 'listening');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE')
      throw new StoreError('locked', `${file}: another kdump-mem watch stores into it`, { cause });
    throw new StoreError('cannot-write', `${file} cannot be locked (${code})`, { cause });
  }
  return () => server.close();
}

/** The same whatever way leads to it. */
function nameOf(file: string): string {
  try {
    const real = fs.existsSync(file) ? fs.realpathSync(file) : path.resolve(file);
    const { dev, ino } = fs.statSync(path.dirname(real));
    const name = `${dev} ${ino} ${path.basename(real)}`;
    return createHash('sha256').update(name).digest('hex');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new StoreError('cannot-write', `${file} cannot be written (${code})`, { cause });
  }
}
