import { execFileSync } from 'node:child_process';
import { tarEntry, tarOf } from './tar.js';

const MEMORY = 'skmem:(r1280,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)';

export const tcpRow = (inode: number, recvQ: number, received: number, lastrcv = 100) =>
  `tcp ESTAB ${recvQ} 0 10.0.0.1:80 10.0.0.2:${inode} ino:${inode} sk:${inode} cgroup:/ <-> ${MEMORY} ts rcvmss:536 bytes_received:${received} lastrcv:${lastrcv}\n`;
export const udpRow = (inode: number, recvQ: number) =>
  `udp UNCONN ${recvQ} 0 10.0.0.1:53 0.0.0.0:* ino:${inode} sk:${inode} cgroup:/ <-> ${MEMORY}\n`;
export const unixRow = (inode: number, recvQ: number) =>
  `u_str ESTAB ${recvQ} 0 * ${inode} * ${inode + 1} ${MEMORY} <->\n`;

const states = (pid: number, switches: number) =>
  [
    `/proc/${pid}/status:State:\tS (sleeping)`,
    `/proc/${pid}/status:Tgid:\t${pid}`,
    `/proc/${pid}/task/${pid}/status:State:\tS (sleeping)`,
    `/proc/${pid}/task/${pid}/status:voluntary_ctxt_switches:\t${switches}`,
    `/proc/${pid}/task/${pid}/status:nonvoluntary_ctxt_switches:\t0`,
    `/proc/${pid}/comm:feedd`,
    '',
  ].join('\n');

/** The files of a capture with two namespaces, in the script's format, with these queues. */
export function captureFiles(rows: {
  readonly inet: readonly [string, string];
  readonly unix?: readonly [string, string];
  readonly elsewhere?: readonly [string, string];
}): Map<string, string> {
  const files = new Map<string, string>([
    ['proc/meminfo', 'MemTotal:       1024000 kB\nMemFree:         512000 kB\n'],
    ['proc/sys/kernel/hostname', 'db1\n'],
    ['proc/self/mountinfo', '30 20 0:4 net:[4026532001] /run/netns/web rw shared:1 - nsfs nsfs rw\n'],
    ['version', '2\n'],
    ['taken', '2026-01-02T03:04:05Z\n'],
  ]);
  for (const index of [0, 1]) {
    const at = `sample-${index + 1}`;
    files.set(`${at}/began`, `${100 + index * 3}.00 1.00\n`);
    files.set(`${at}/ended`, `${101 + index * 3}.00 1.00\n`);
    files.set(`${at}/before`, states(10, 5));
    files.set(`${at}/after`, states(10, 5));
    files.set(
      `${at}/namespaces`,
      ['self', '10'].map((pid) => `lrwxrwxrwx 1 0 0 0 Jan  1 00:00 /proc/${pid}/ns/net -> net:[4026531840]\n`).join(''),
    );
    files.set(`${at}/descriptors`, `/proc/10/fd:\nlrwx------ 1 0 0 64 Jan  1 00:00 5 -> socket:[601]\n`);
    const own = `${at}/netns-4026531840`;
    files.set(`${own}/inet`, rows.inet[index] ?? '');
    files.set(`${own}/unix`, rows.unix?.[index] ?? '');
    files.set(`${own}/others`, '');
    files.set(`${own}/net/netlink`, 'sk Eth Pid\n');
    const other = `${at}/netns-4026532001`;
    files.set(`${other}/inet`, rows.elsewhere?.[index] ?? '');
    files.set(`${other}/unix`, '');
    files.set(`${other}/others`, '');
  }
  return files;
}

/** The manifest of these files, made by the local cksum. */
export function manifestOf(files: ReadonlyMap<string, string>): string {
  const lines = [...files].map(([name, content]) => {
    const [sum, size] = execFileSync('cksum', { input: content, encoding: 'utf8' }).split(/\s/);
    return `${sum} ${size} ./${name}\n`;
  });
  return `${lines.join('')}whole ${lines.length}\n`;
}

/** A tar archive of these files, in this order. */
export function captureTar(files: Iterable<readonly [string, string]>): Buffer {
  return tarOf(...[...files].map(([name, content]) => tarEntry(`skcheck-capture/${name}`, content)));
}
