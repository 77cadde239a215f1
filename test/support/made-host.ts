import { HostError } from '../../src/base/errors.js';
import type { SnapshotSource } from '../../src/capture/write/source.js';

/** A synthetic host: its files, links and the output of ss, by absolute path. */
export interface MadeHost {
  readonly files: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
  readonly ss?: Readonly<Record<'inet' | 'unix' | 'others', string>>;
  /** Called before each run of ss. */
  readonly duringSs?: () => void;
  /** Unreadable files. */
  readonly denied?: readonly string[];
  /** Files whose reads never return. */
  readonly stuck?: readonly string[];
  readonly log?: string;
  /** Milliseconds of the host's clock that each read takes. */
  readonly readMs?: number;
}

/** A source for this host, which records the reads. */
export function madeSource(host: MadeHost): SnapshotSource & { readonly asked: Set<string> } {
  const { files, links = {}, denied = [], stuck = [], readMs = 0 } = host;
  const asked = new Set<string>();
  let clock = 1000;
  const textOf = (path: string): string => {
    asked.add(path);
    clock += readMs;
    if (denied.includes(path)) throw new HostError('denied', `${path}: permission denied`);
    const text = files[path];
    if (text === undefined) throw new HostError('gone', `${path}: not found`);
    return text;
  };
  const read = (path: string, most: number) => {
    const bytes = Buffer.from(textOf(path));
    return { bytes: bytes.subarray(0, most), cut: bytes.length > most };
  };
  return {
    asked,
    read,
    readSlow: (path, most) =>
      stuck.includes(path) ? new Promise(() => undefined) : new Promise((resolve) => resolve(read(path, most))),
    readText: textOf,
    readSlowText: async (path) => textOf(path),
    readTextIn: (_, path) => textOf(path),
    readBytes: (path, onBytes) => onBytes(Buffer.from(textOf(path))),
    log: (onBytes) => {
      if (host.log === undefined) throw new HostError('denied', '/dev/kmsg: permission denied');
      onBytes(Buffer.from(host.log));
      return false;
    },
    readLink: (path) => {
      const target = links[path];
      if (target === undefined) throw new HostError('gone', `${path}: not found`);
      return target;
    },
    list: (path) => {
      const names = new Set<string>();
      for (const each of [...Object.keys(files), ...Object.keys(links)])
        if (each.startsWith(`${path}/`)) names.add(each.slice(path.length + 1).split('/')[0] ?? '');
      if (names.size === 0) throw new HostError('gone', `${path}: not found`);
      return [...names];
    },
    size: () => 0,
    inode: () => 0,
    ss: async (args, _, onBytes) => {
      host.duringSs?.();
      if (!host.ss) throw new HostError('ss-missing', 'ss is not installed');
      const group = args.includes('-x') ? 'unix' : args.includes('-A') ? 'others' : 'inet';
      onBytes(Buffer.from(host.ss[group], 'latin1'));
      return group === 'others' ? ['mptcp'] : [];
    },
    now: () => clock,
    sleep: async (ms) => {
      clock += ms;
    },
  };
}

const STATUS = `Name:\tweb\\nserver
State:\tS (sleeping)
Tgid:\t10
NSpid:\t10\t1
VmRSS:\t    4096 kB
Threads:\t1
voluntary_ctxt_switches:\t5
nonvoluntary_ctxt_switches:\t0
`;

/** A process in a pod, a kernel thread, two cgroups, a socket of each kind. */
export const WEB_HOST: MadeHost = {
  files: {
    '/proc/uptime': '100.00 50.00\n',
    '/proc/meminfo': 'MemTotal:       1024000 kB\nMemFree:         400000 kB\n',
    '/proc/sys/kernel/hostname': 'db1.example\n',
    '/proc/sys/kernel/osrelease': '6.1.0\n',
    '/proc/self/mountinfo':
      '30 20 0:4 net:[4026532001] /run/netns/customer rw shared:1 - nsfs nsfs rw\n31 20 8:1 / /mnt/customer rw - ext4 /dev/sda1 rw\n',
    '/proc/10/status': STATUS,
    '/proc/10/stat': '10 (web\nserver) S 1 10 10 0 -1 4194304 1 0 0 0 1 1\n',
    '/proc/10/comm': 'web\nserver\n',
    '/proc/10/cgroup': '0::/kubepods.slice/kubepods-pod1234.slice\n',
    '/proc/10/wchan': 'do_epoll_wait',
    '/proc/10/oom_score': '666\n',
    '/proc/10/oom_score_adj': '0\n',
    '/proc/10/limits': 'Limit   Soft Limit\nMax open files  1024\n',
    '/proc/10/schedstat': '1 2 3\n',
    '/proc/10/smaps_rollup': '5500-7fff ---p 00000000 00:00 0  [rollup]\nRss:  4096 kB\n',
    '/proc/10/smaps': '5500-7fff r-xp 00000000 08:01 7 /opt/secret-app/bin\nRss:  4096 kB\n',
    '/proc/10/cmdline': 'web\0--password=hunter2\0',
    '/proc/10/environ': 'TOKEN=hunter3\0',
    '/proc/10/task/10/status': STATUS,
    '/proc/10/task/10/stack': '[<0>] do_epoll_wait+0x1\n',
    '/proc/2/status': 'Name:\tkthreadd\nState:\tS (sleeping)\nTgid:\t2\n',
    '/proc/2/stat': '2 (kthreadd) S 0 0 0 0 -1 2129984 0\n',
    '/proc/2/comm': 'kthreadd\n',
    '/proc/2/cgroup': '0::/\n',
    '/proc/2/task/2/status': 'Name:\tkthreadd\nState:\tS (sleeping)\nTgid:\t2\n',
    '/proc/3/status': 'Name:\tirq/24-eth7\nState:\tS (sleeping)\nTgid:\t3\n',
    '/proc/3/stat': '3 (irq/24-eth7) S 2 0 0 0 -1 2129984 0\n',
    '/proc/3/comm': 'irq/24-eth7\n',
    '/proc/3/task/3/status': 'Name:\tirq/24-eth7\nState:\tS (sleeping)\nTgid:\t3\n',
    '/proc/self/net/dev': 'Inter-|   Receive\n face |bytes\n    lo: 0 0\n  eth7: 1 2\n',
    '/sys/fs/cgroup/memory.stat': 'anon 1\n',
    '/sys/fs/cgroup/kubepods.slice/memory.stat': 'anon 2\n',
    '/sys/fs/cgroup/kubepods.slice/memory.current': '4096\n',
    '/sys/fs/cgroup/kubepods.slice/kubepods-pod1234.slice/memory.stat': 'anon 3\nfile 4\n',
    '/sys/fs/cgroup/a\\x2db.slice/memory.stat': 'anon 5\n',
    '/proc/slabinfo': 'slabinfo - version: 2.1\nkmalloc-64(12:a)corp)  5 64 64 64 1 : tunables 0 0 0\n',
    '/proc/self/net/netlink': 'sk Eth Pid\n',
    '/proc/self/net/sockstat': 'sockets: used 3\n',
    '/proc/sys/net/ipv4/tcp_max_tw_buckets': '4096\n',
    '/sys/kernel/slab/dentry/object_size': '192\n',
  },
  links: {
    '/proc/self/ns/net': 'net:[4026531840]',
    '/proc/10/ns/net': 'net:[4026531840]',
    '/proc/10/ns/pid': 'pid:[4026531836]',
    '/proc/10/fd/3': 'socket:[601]',
    '/proc/10/fd/4': '/opt/secret-app/data',
  },
  ss: {
    inet: [
      'tcp ESTAB 5 0 10.1.2.3%eth7:80 198.51.100.7:4321 ino:601 sk:1 cgroup:/kubepods.slice/kubepods-pod1234.slice <-> skmem:(r1280,rb131072,t0,tb16384,f0,w0,o0,bl0,d0) ts md5keys:198.51.100.7/32=hunter4 lastrcv:5',
      'tcp ESTAB 0 0 [2606:4700::1111]:443 [::ffff:10.1.2.3]:80 ino:602 sk:2 cgroup:/ <-> skmem:(r0,rb1,t0,tb1,f0,w0,o0,bl0,d0)',
      'tcp LISTEN 0 128 *:443 *:* ino:603 sk:3 cgroup:/a tenant <-> called acme v6only:1 <-> skmem:(r0,rb1,t0,tb1,f0,w0,o0,bl0,d0)',
      '',
    ].join('\n'),
    unix: 'u_str ESTAB 7 0 /run/secret.sock 700 * 701 skmem:(r1280,rb131072,t0,tb16384,f0,w0,o0,bl0,d0) <->\n',
    others:
      'p_raw UNCONN 0 0 *:eth7 * ino:900 sk:9 cgroup:/ <-> skmem:(r0,rb1,t0,tb1,f0,w0,o0,bl0,d0)\nsctp ESTAB 0 0 10.1.2.3:5000 198.51.100.7:4321 ino:901 sk:a cgroup:/ <-> skmem:(r0,rb1,t0,tb1,f0,w0,o0,bl0,d0) locals:10.1.2.3,192.0.2.78 peers:198.51.100.7,2620:beef::5\n',
  },
  log: '6,1,100,-;customer says hello\n',
};
