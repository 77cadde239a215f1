import { spawnSync } from 'node:child_process';
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, statfsSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { attempt, HostError } from '../base/errors.js';
import { searchPath } from '../base/shell.js';
import { asExhausted, ownPipes } from './child.js';
import type { FileFacts, HostSource, OnBytes, TmpfsUse } from './host-source.js';
import { askNetlink } from './netlink.js';
import { MemoryFiles } from './proc/memory-files.js';
import { runSs } from './ss/run.js';

export const memoryFiles = new MemoryFiles();

/** About 300,000 mappings in smaps. Bytes. */
const MAX_TEXT = 256 * 1024 * 1024;

/** The local host: its network namespace, its /proc. */
export const liveHost: HostSource = {
  ss: runSs,
  readText: (path) => attempt(path, () => readText(path)),
  readTextIn,
  readSlowText,
  netlink: askNetlink,
  readSlowBytes: async (path, from, length) => (await memoryFiles.read(path, length, from)).bytes,
  readBytes: (path, onBytes) => attempt(path, () => readPieces(path, onBytes)),
  readLink: (path) => attempt(path, () => readlinkSync(path)),
  list: (path) => attempt(path, () => readdirSync(path)),
  subfolders: (path) => attempt(path, () => subfolders(path)),
  size: (path) => attempt(path, () => statSync(path).size),
  file: (path) => attempt(path, () => fileFacts(path)),
  tmpfs: (path) => attempt(path, () => tmpfsUse(path)),
  mappedFile: async (path) => {
    const { type, ...facts } = await memoryFiles.facts(path);
    return { ...facts, isTmpfs: type === TMPFS };
  },
  inode: (path) => attempt(path, () => statSync(path).ino),
  ownPipes,
  now: () => performance.now(),
  sleep: async (ms) => {
    await delay(ms);
  },
};

/** Some file systems have one link for each folder, whatever it contains. */
function subfolders(path: string): number | null {
  const { nlink } = lstatSync(path);
  return nlink < 2 ? null : nlink - 2;
}

/** TMPFS_MAGIC (include/uapi/linux/magic.h). */
const TMPFS = 0x01021994;

function tmpfsUse(path: string): TmpfsUse | null {
  const { type, bsize, blocks, bfree } = statfsSync(path);
  if (type !== TMPFS) return null;
  // shmem_statfs (mm/shmem.c) reports neither without a limit.
  return blocks === 0 ? { used: null, limit: null } : { used: (blocks - bfree) * bsize, limit: blocks * bsize };
}

function fileFacts(path: string): FileFacts {
  // A link of /proc/PID refers to the open file, whatever its text. Other links below /proc/PID/root may lead anywhere.
  const stats = /^\/proc\/\d+\/(?:cwd|(?:task\/\d+\/)?fd\/\d+|map_files\/[0-9a-f]+-[0-9a-f]+)$/.test(path)
    ? statSync(path)
    : lstatSync(path);
  const { dev: device, ino: inode, blocks } = stats;
  return { device, inode, bytes: blocks * 512, isFile: stats.isFile(), isFolder: stats.isDirectory() };
}

/** Files of one record (proc_single_show and the like, fs/proc/base.c): a read that is not full has all of it. */
const ONE_RECORD =
  /^\/proc\/\d+\/(?:task\/\d+\/)?(?:status|stat|schedstat|cgroup|comm|wchan|limits|oom_score(?:_adj)?)$/;

/** Whether a read has reached the end of a file. @param hasRoom whether its buffer was not filled */
export const isWhole = (path: string, read: number, hasRoom: boolean): boolean =>
  read === 0 || (hasRoom && ONE_RECORD.test(path));

/** Most files have less. A buffer of their own for each costs as much as its read. */
const TEXT = Buffer.alloc(64 * 1024);

function readText(path: string): string {
  const file = openSync(path, 'r');
  try {
    let buffer = TEXT;
    for (let filled = 0; ; ) {
      const read = readSync(file, buffer, filled, buffer.length - filled, null);
      filled += read;
      if (isWhole(path, read, filled < buffer.length)) return buffer.toString('utf8', 0, filled);
      if (filled === buffer.length) buffer = Buffer.concat([buffer], 4 * filled);
    }
  } finally {
    closeSync(file);
  }
}

async function readSlowText(path: string): Promise<string> {
  const { bytes, cut } = await memoryFiles.read(path, MAX_TEXT);
  if (cut) throw new HostError('unreadable', `${path} has more than ${MAX_TEXT} bytes`);
  return bytes.toString('utf8');
}

const ENTER_TIMEOUT_MS = 5000;

function readTextIn(namespace: string, path: string): string {
  const kind = namespace.endsWith('/ns/ipc') ? 'ipc' : 'net';
  const { status, stdout, error } = spawnSync('nsenter', [`--${kind}=${namespace}`, '--', 'cat', path], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: ENTER_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    env: { ...process.env, PATH: searchPath() },
  });
  const exhausted = asExhausted('nsenter', error);
  if (exhausted) throw exhausted;
  if (status !== 0) throw new HostError('netns-closed', `${path} cannot be read in ${namespace}`);
  return stdout;
}

const PIECE_BYTES = 1024 * 1024;
/** Most files of /proc have less: a larger buffer costs more than their read. */
const FIRST_PIECE_BYTES = 4096;

function readPieces(path: string, onBytes: OnBytes): void {
  const file = openSync(path, 'r');
  try {
    let piece = Buffer.alloc(FIRST_PIECE_BYTES);
    for (let read = 1; read > 0; ) {
      read = readSync(file, piece);
      if (read > 0) onBytes(piece.subarray(0, read));
      if (read === piece.length && read < PIECE_BYTES) piece = Buffer.alloc(PIECE_BYTES);
    }
  } finally {
    closeSync(file);
  }
}
