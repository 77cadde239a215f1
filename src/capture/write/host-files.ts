import { isHostError } from '../../base/errors.js';
import { isRing, newestOf, RING_BYTES } from '../../base/ring.js';
import type { HostSource } from '../../host/host-source.js';
import { findNamespaces } from '../../host/namespaces.js';
import { isCgroupFile } from '../../host/proc/cgroup-counters.js';
import { MAX_ENTERED } from '../../host/proc/interfaces.js';
import { eachNamespace, MAX_MS, mountedQueues } from '../../host/proc/message-queues.js';
import { filesInMemoryLines } from '../../host/proc/shared-files.js';
import { SharedMappings } from '../../host/proc/shared-mappings.js';
import { CommandLineMask } from '../read/command-line.js';
import {
  CGROUP_FILES,
  CGROUP_ROOT,
  HOST_FILES,
  HOST_PATTERNS,
  LEFT_OUT_NAME,
  MAX_BYTES,
  MAX_CGROUPS,
  SAMPLED_FILES,
  SLAB_ATTRIBUTES,
  SYSV_QUEUES,
  WITH_ARGUMENTS,
} from '../read/contents.js';
import { RING } from '../read/manifest.js';
import { octal } from './failures.js';
import type { OpenFiles } from './processes.js';
import { linesOf, SMALL_FILE, type Work } from './work.js';

/** Records machine-wide files, each under its own path. */
export async function recordHostFiles(work: Work): Promise<void> {
  const extra = work.parts.has('arguments') ? WITH_ARGUMENTS : [];
  for (const path of [...HOST_FILES, ...extra]) {
    recordFile(work, path, '');
    await work.deadline.breathe();
  }
  for (const pattern of HOST_PATTERNS) for (const path of expand(work.source, pattern)) recordFile(work, path, '');
}

/** Records changing counters, once per sample. */
export function recordCounters(work: Work, at: string): void {
  for (const path of SAMPLED_FILES) recordFile(work, path, at);
}

function recordFile({ source, archive, failures, anonymizer }: Work, path: string, at: string): void {
  try {
    const { bytes, cut } = source.read(path, MAX_BYTES);
    archive.add(`${at}${path.slice(1)}`, anonymizer?.file(path, bytes) ?? bytes);
    if (cut) failures.add(path, 'cut', `only its first ${MAX_BYTES} bytes`);
  } catch (error) {
    failures.note(path, error, true);
  }
}

/** Seconds of a ring that are recorded, as `triage` compares them. */
const RING_SECONDS = 600;

/** Records the last minutes of kdump-mem-ring.service, if this host has it. */
export function recordRing({ source, archive, failures }: Work): void {
  try {
    const { bytes } = source.read(`/${RING}`, RING_BYTES);
    if (!isRing(bytes)) return;
    let [last, before] = [Number.NaN, Number.POSITIVE_INFINITY];
    const wanted = newestOf(bytes, (text) => {
      const uptime = Number(/"uptimeSeconds":([\d.]+)/.exec(text)?.[1]);
      if (Number.isNaN(last)) last = uptime;
      // An earlier boot had been up longer.
      const isWanted = uptime <= before && uptime >= last - RING_SECONDS;
      before = uptime;
      return isWanted;
    });
    archive.add(RING, wanted);
  } catch (error) {
    if (!isHostError(error, 'gone')) failures.note(`/${RING}`, error, true);
  }
}

/** Records the kernel log, with the kernel command line masked unless arguments are requested. */
export function recordLog({ source, archive, failures, parts }: Work): void {
  const member = archive.member('log');
  const write = (bytes: Buffer) => {
    if (member.size < MAX_BYTES) member.write(bytes);
    else failures.add('log', 'cut', `only its first ${MAX_BYTES} bytes`);
  };
  const mask = parts.has('arguments') ? undefined : new CommandLineMask(write);
  try {
    const lost = source.log(mask ? (bytes) => mask.push(bytes) : write);
    mask?.end();
    if (lost) failures.add('log', 'cut', 'lines disappeared during the read');
    member.end();
  } catch (error) {
    failures.note('/dev/kmsg', error, true);
  }
}

/** Records interfaces, page pools and rings of network namespaces. */
export function recordNetlink({ source, archive, failures }: Work): void {
  if (!source.netlink) return;
  try {
    const namespaces = findNamespaces(source, 'all').slice(0, MAX_ENTERED);
    const text = source.netlink(namespaces.map(({ own, path }) => (own ? '-' : path)));
    const places = namespaces.map(({ inode }, place) => `netns ${place} ${inode}\n`).join('');
    if (text !== null) archive.add('netlink', Buffer.from(places + text, 'latin1'));
  } catch (error) {
    failures.note('netlink', error, true);
  }
}

/**
 * Records the queues of System V in other ipc namespaces, and those of POSIX where mqueue is mounted, in lines `PATH:LINE`. Names
 * of the latter are paths.
 */
export function recordMessageQueues({ source, archive, failures, anonymizer }: Work): void {
  const until = source.now() + MAX_MS;
  const onMissing = (why: string) => failures.add('message-queues', 'unreadable', why);
  eachNamespace(source, 'ipc', until, onMissing, (_, path, link) => {
    const name = link.replace(/^ipc:\[(\d{1,15})\]$/, 'ipc-$1');
    try {
      archive.add(name, Buffer.from(source.readTextIn(path, SYSV_QUEUES)));
    } catch (error) {
      // Its last process exited.
      if (!isHostError(error, 'gone')) failures.note(name, error, true);
    }
  });
  if (anonymizer) return;
  const member = archive.member('message-queues');
  const devices = new Set<string>();
  const add = (pid: string) => {
    const folder = `/proc/${pid}/mountinfo`;
    const before = devices.size;
    for (const { path, text } of mountedQueues(source, pid, devices))
      member.write(`${utf8(octal(path))}:${text.trimEnd()}\n`);
    if (devices.size > before && pid !== 'self')
      for (const line of linesOf(source.read(folder, MAX_BYTES).bytes.toString('latin1')))
        if (line.includes(' - mqueue ')) member.write(`${folder}:${line}\n`);
  };
  add('self');
  eachNamespace(source, 'mnt', until, onMissing, add);
  member.end();
}

/** Records the files that hold shared memory: memfds, deleted files, tmpfs. */
export async function recordFilesInMemory({ source, archive, anonymizer }: Work, openFiles: OpenFiles): Promise<void> {
  // Descriptors were listed already: reading a million again takes a second.
  const known: HostSource = { ...source, list: (path) => openFiles.get(path) ?? source.list(path) };
  const nameOf = (name: string) => (anonymizer ? LEFT_OUT_NAME : name);
  const mappings = await SharedMappings.read(source);
  archive.add('files-in-memory', Buffer.from(filesInMemoryLines(known, nameOf, mappings)));
}

/** Records SLUB's attributes of each cache, in lines `PATH:LINE`. */
export async function recordSlabAttributes(work: Work): Promise<void> {
  const member = work.archive.member('slab-attributes');
  for (const name of SLAB_ATTRIBUTES)
    for (const path of expand(work.source, `/sys/kernel/slab/*/${name}`)) {
      const text = textOf(work, path);
      for (const line of linesOf(text)) member.write(`${work.anonymizer?.slabPath(path) ?? path}:${line}\n`);
      await work.deadline.breathe();
    }
  member.end();
}

/** Records the files of each memory cgroup, in lines `PATH:LINE`. */
export async function recordCgroups(work: Work): Promise<void> {
  const { source, archive, failures, deadline, anonymizer } = work;
  const member = archive.member('cgroups');
  // Of version 1, only the hierarchy of memory has what is recorded.
  const top = new Set(namesIn(source, CGROUP_ROOT));
  const root = top.has('memory') && !top.has('cgroup.procs') ? `${CGROUP_ROOT}/memory` : CGROUP_ROOT;
  const waiting = [root];
  let count = 0;
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    await deadline.breathe();
    if (deadline.isOver || count >= MAX_CGROUPS) {
      failures.add('cgroups', 'cut', `after ${count} of them`);
      break;
    }
    let names: ReadonlySet<string>;
    try {
      names = new Set(source.list(folder));
    } catch (error) {
      failures.note(folder, error, folder === root);
      continue;
    }
    // Names of cgroup files contain a dot, but so may names of cgroups: listing a file fails.
    for (const name of names) if (!isCgroupFile(name)) waiting.push(`${folder}/${name}`);
    if (!names.has('memory.stat')) continue;
    count++;
    const shown = anonymizer?.cgroupPath(folder) ?? folder;
    for (const file of CGROUP_FILES) {
      if (!names.has(file)) continue;
      for (const line of linesOf(textOf(work, `${folder}/${file}`)))
        member.write(`${utf8(octal(`${shown}/${file}`))}:${line}\n`);
    }
  }
  member.end();
}

/** Text as the bytes of UTF-8, one a character. */
function utf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function textOf({ source, failures }: Work, path: string): string {
  try {
    return source.read(path, SMALL_FILE).bytes.toString('latin1');
  } catch (error) {
    // Attributes that some caches lack, and cgroups that were removed meanwhile.
    if (!isHostError(error, 'gone')) failures.note(path, error);
    return '';
  }
}

/** Expands a pattern to existing paths: `*` matches any characters of a name. Empty without a match. */
function expand(source: HostSource, pattern: string): string[] {
  let paths = [''];
  for (const part of pattern.split('/').slice(1)) {
    if (!part.includes('*')) {
      paths = paths.map((path) => `${path}/${part}`);
      continue;
    }
    const form = new RegExp(`^${part.split('*').map(escaped).join('.*')}$`, 's');
    paths = paths.flatMap((path) =>
      namesIn(source, path)
        .filter((name) => form.test(name))
        .map((name) => `${path}/${name}`),
    );
  }
  return paths;
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function namesIn(source: HostSource, path: string): readonly string[] {
  try {
    return source.list(path);
  } catch (error) {
    if (isHostError(error)) return [];
    throw error;
  }
}
