import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import path from 'node:path';
import { StoreError } from '../errors.js';

/** Maximum number of times that a stale lock is removed while other processes create theirs. */
const MAX_TRIES = 10;

/**
 * Ensures a single writer per store: a Unix socket `.NAME.lock` next to the file. A process without
 * write permission for the folder cannot hold the lock, and a socket without a listener belongs to a
 * killed process. Works across network and pid namespaces.
 *
 * @returns a function that releases the lock
 * @throws {StoreError} `locked`: another process holds it; `cannot-write`: no lock can be created there
 */
export async function lockStore(file: string): Promise<() => void> {
  const name = `.${path.basename(file)}.lock`;
  let folder: number | undefined;
  let server: Server | undefined;
  try {
    folder = fs.openSync(path.dirname(file), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    // A socket address has only 107 bytes, less than a path.
    const place = `/proc/self/fd/${folder}`;
    const [lock, own] = [`${place}/${name}`, `${place}/.kdump-mem-${randomUUID()}.lock`];
    server = createServer((socket) => socket.destroy());
    // Does not keep the process alive.
    server.unref();
    server.listen({ path: own });
    await once(server, 'listening');
    fs.chmodSync(own, 0o600);
    try {
      for (let tries = 1; !linked(own, lock); tries++) {
        if (tries > MAX_TRIES || (await isHeld(lock)))
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

/** Gives the lock its name, unless another process holds it. */
function linked(own: string, lock: string): boolean {
  try {
    fs.linkSync(own, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Whether a process holds the lock. A lock without a listener, or of another user, is removed. */
async function isHeld(lock: string): Promise<boolean> {
  const found = fs.lstatSync(lock, { throwIfNoEntry: false });
  if (!found) return false;
  if (isTrusted(found.uid) && (await answers(lock))) return true;
  const aside = `${lock}.${randomUUID()}`;
  fs.renameSync(lock, aside);
  // Another process may have removed it meanwhile, and created its own.
  const { ino } = fs.lstatSync(aside);
  if (ino !== found.ino) linked(aside, lock);
  fs.rmSync(aside);
  return ino !== found.ino;
}

/** In a world-writable folder such as /tmp, another user's lock is ignored. */
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
