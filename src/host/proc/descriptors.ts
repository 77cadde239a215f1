import { isHostError } from '../../base/errors.js';
import { DescriptorGroups, type DescriptorKind, type Descriptors } from '../../records/files.js';
import type { HostSource } from '../host-source.js';
import { optionalText } from './process.js';

/** Which line of fdinfo counts an item. */
const ITEMS: Partial<Record<DescriptorKind, RegExp>> = {
  epoll: /^tfd:/gm,
  inotify: /^inotify wd:/gm,
};

/**
 * Reads the descriptors of a process: its links, and fdinfo of kinds that report memory or items. No
 * file is opened or asked for its size, except memfds, so that an unresponsive file system cannot block.
 *
 * @throws {HostError} `gone`, `denied`
 */
export function readDescriptors(source: HostSource, pid: number): Descriptors {
  const directory = `/proc/${pid}/fd`;
  const groups = new DescriptorGroups();
  let unreadable = 0;
  for (const fd of source.list(directory)) {
    try {
      const link = source.readLink(`${directory}/${fd}`);
      const { kind, group } = groups.add(link);
      readDetails(source, { pid, fd, kind, link }, group);
    } catch (error) {
      if (!isHostError(error)) throw error;
      if (error.code !== 'gone') unreadable++;
    }
  }
  const limit = /^Max open files +(\d{1,15}) /m.exec(
    optionalText(source, `/proc/${pid}/limits`),
  )?.[1];
  return {
    pid,
    comm: optionalText(source, `/proc/${pid}/comm`).trimEnd() || null,
    count: groups.count + unreadable,
    limit: limit === undefined ? null : Number(limit),
    groups: groups.list(),
    unreadable,
  };
}

interface Opened {
  readonly pid: number;
  readonly fd: string;
  readonly kind: DescriptorKind;
  readonly link: string;
}

function readDetails(
  source: HostSource,
  { pid, fd, kind, link }: Opened,
  group: ReturnType<DescriptorGroups['add']>['group'],
): void {
  const path = `/proc/${pid}/fd/${fd}`;
  const info = () => source.readText(`/proc/${pid}/fdinfo/${fd}`);
  const figure = (text: string, name: string) =>
    Number(new RegExp(`^${name}:\\s*(\\d{1,15})$`, 'm').exec(text)?.[1] ?? Number.NaN);
  const items = ITEMS[kind];
  if (items) group.items += info().match(items)?.length ?? 0;
  if (kind === 'memfd' && source.file) {
    const { device, inode, bytes } = source.file(path);
    group.bytes.set(`${device}:${inode}`, bytes);
  } else if (kind === 'dma-buf' || link === 'anon_inode:bpf-map') {
    const text = info();
    const bytes = figure(text, kind === 'bpf' ? 'memlock' : 'size');
    const id = kind === 'bpf' ? figure(text, 'map_id') : figure(text, 'ino');
    if (!Number.isNaN(bytes)) group.bytes.set(Number.isNaN(id) ? fd : `${id}`, bytes);
  }
}
