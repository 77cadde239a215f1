import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import path from 'node:path';
import { StoreError } from '../errors/store.js';

/** So often a lock of a process that is gone is removed, while others make theirs. */
const MOST_TRIES = 10;

/**
 * Ensures a single writer per store: a Unix socket `.NAME.lock` beside the file. Who may not write into that folder
 * cannot hold the lock, and a socket that nothing listens on is that of a process that was killed. Network and pid
 * namespaces make no difference.
 *
 * @returns releases the lock
 * @throws {StoreError} `locked`: another process has it; `cannot-write`: no lock can be made there
 */
export async function lockStore(file: string): Promise<() => void> {
  const name = `.${path.basename(file)}.lock`;
  let folder: number | undefined;
  let server: Server | undefined;
  try {
    folder = fs.openSync(path.dirname(file), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    // An address has room for 107 bytes, a path for more.
    const place = `/proc/self/fd/${folder}`;
    const [lock, own] = [`${place}/${name}`, `${place}/.kdump-mem-${randomUUID()}.lock`];
    server = createServer((socket) => socket.destroy());
    // It keeps no process alive.
    server.unref();
    server.listen({ path: own });
    await once(server, 'listening');
    fs.chmodSync(own, 0o600);
    try {
      for (let tries = 1; !linked(own, lock); tries++) {
        if (tries > MOST_TRIES || (await isHeld(lock)))
          throw new StoreError('locked', `${file}: in use by another kdump-mem watch`);
      }
    } finally {
      fs.rmSync(own, { force: true });
    }
    return release(server, folder, lock);
  } catch (cause) {
    server?.close();
    if (folder !== undefined) fs.closeSync(folder);
    const { code } = cause as NodeJS.ErrnoException;
    if (cause instanceof StoreError || typeof code !== 'string') throw cause;
    throw new StoreError('cannot-write', `${file}: ${server ? 'lock' : 'write'} failed (${code})`, {
      cause,
    });
  }
}

/** Gives the lock its name, unless another one has it. */
function linked(own: string, lock: string): boolean {
  try {
    fs.linkSync(own, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Whether a process has the lock. One that nothing listens on, or that another user made, is removed. */
async function isHeld(lock: string): Promise<boolean> {
  const found = fs.lstatSync(lock, { throwIfNoEntry: false });
  if (!found) return false;
  if (isTrusted(found.uid) && (await answers(lock))) return true;
  const aside = `${lock}.${randomUUID()}`;
  fs.renameSync(lock, aside);
  // Meanwhile another one may have removed it too, and made its own.
  const { ino } = fs.lstatSync(aside);
  if (ino !== found.ino) linked(aside, lock);
  fs.rmSync(aside);
  return ino !== found.ino;
}

/** In a folder that all may write into, such as /tmp, another user's lock counts for nothing. */
function isTrusted(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

async function answers(lock: string): Promise<boolean> {
  const socket = connect({ path: lock });
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ECONNREFUSED' && code !== 'ENOENT' && code !== 'ENOTSOCK';
  } finally {
    socket.destroy();
  }
}

function release(server: Server, folder: number, lock: string): () => void {
  const { ino } = fs.lstatSync(lock);
  const unlock = () => {
    process.off('exit', unlock);
    if (fs.lstatSync(lock, { throwIfNoEntry: false })?.ino === ino) fs.rmSync(lock);
    server.close();
    fs.closeSync(folder);
  };
  process.on('exit', unlock);
  return unlock;
}
