import { expect, test } from 'vitest';
import { findingWords } from '../../src/answers/triage/words.js';
import { readPasted } from '../../src/capture/read/pasted.js';
import { pastedFindings } from '../../src/triage/pasted-outputs.js';

function found(text: string) {
  const pasted = readPasted([{ name: 'text', bytes: Buffer.from(text) }]);
  return pasted === undefined ? undefined : pastedFindings(pasted);
}

const NETSTAT = `Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
`;
const DF = 'Filesystem      Size  Used Avail Use% Mounted on\n';

test('netstat shows unread data by process, with or without its heading', () => {
  const rows = `tcp   135211      0 10.0.0.2:5060           10.0.0.9:42177          ESTABLISHED 1290/sip: worker
tcp    87520      0 10.0.0.2:5060           10.0.0.8:5062           ESTABLISHED 1290/sip: worker
raw6  213120      0 :::58                   :::*                    7           -
`;
  for (const text of [NETSTAT + rows, rows]) {
    const [second, first, ...others] = found(text) ?? []; // the largest queue first
    expect(others).toEqual([]);
    expect(first).toMatchObject({
      code: 'unread-sockets',
      severity: 'note',
      figures: { pid: 1290, comm: 'sip: worker', sockets: 2, unreadBytes: 222_731, local: 'tcp 10.0.0.2:5060' },
    });
    expect(second).toMatchObject({ figures: { pid: null, local: 'raw6 :::58' } });
    expect(findingWords(first!)).toContain('218 KiB of unread data is queued in 2 sockets of pid 1290 (sip: worker)');
    expect(findingWords(second!)).toContain('in 1 socket of an unknown process, most in raw6 :::58.');
  }
  const full = 'raw   37749184      0 0.0.0.0:112             0.0.0.0:*               7           16418/vrrp\n';
  expect(found(full)).toMatchObject([{ severity: 'warning', figures: { pid: 16_418, comm: 'vrrp' } }]);
  // `netstat -neopa`: user, inode and timer.
  const timed =
    'tcp   99999      0 10.0.0.2:22 10.0.0.9:4 ESTABLISHED 0          8912       77/sshd: a  off (0.00/0/0)\n';
  expect(found(timed)).toMatchObject([{ figures: { pid: 77, comm: 'sshd: a' } }]);
});

test('healthy sockets are quiet: small queues, and connections that wait for a listener', () => {
  const rows = `tcp     1025      0 0.0.0.0:50011           0.0.0.0:*               LISTEN      7/app
tcp   999999      0 0.0.0.0:443             0.0.0.0:*               LISTEN      7/app
tcp     3000 900000 10.0.0.2:443            10.0.0.9:1              ESTABLISHED 7/app
udp        0      0 0.0.0.0:68              0.0.0.0:*                           9/dhclient
unix  2      [ ]         DGRAM                    141458500 16416/app
`;
  expect(found(NETSTAT + rows)).toEqual([]);
});

test('df shows a full tmpfs, in each of its units', () => {
  const full = { code: 'shared-memory', severity: 'warning' } as const;
  const [shm, ...others] = found(`${DF}shm             6.0G  6.0G     0 100% /dev/shm\n`) ?? [];
  expect(others).toEqual([]);
  expect(shm).toMatchObject({ ...full, figures: { name: '/dev/shm', bytes: 6 * 2 ** 30, limitBytes: 6 * 2 ** 30 } });
  expect(findingWords(shm!)).toContain('Shared memory: /dev/shm holds 6.00 GiB.');
  const blocks =
    'Filesystem     Type  1K-blocks   Used Available Use% Mounted on\nrun            tmpfs     24576  24576         0 100% /run\n';
  expect(found(blocks)).toMatchObject([{ ...full, figures: { name: '/run', bytes: 24 * 2 ** 20 } }]);
  const german =
    'Dateisystem  1K-Bl\u00f6cke Benutzt Verf\u00fcgbar Verw% Eingeh\u00e4ngt auf\ntmpfs   24576  24576         0 100% /run\n';
  expect(found(german)).toMatchObject([{ ...full, figures: { name: '/run', bytes: 24 * 2 ** 20 } }]);
  const french = 'Sys. de fichiers Taille Utilis\u00e9 Dispo Uti% Mont\u00e9 sur\ntmpfs   1,5G  1,5G     0 100% /tmp\n';
  expect(found(french)).toMatchObject([{ ...full, figures: { name: '/tmp', bytes: 1.5 * 2 ** 30 } }]);
});

test('healthy file systems are quiet: images, disks, and a tmpfs with room or of no size', () => {
  const rows = `/dev/loop3       64M   64M     0 100% /snap/core20/1974
/dev/sda2       110G  110G     0 100% /
overlay         110G  110G     0 100% /var/lib/docker/overlay2/a/merged
tmpfs            16G     0   16G   0% /sys/fs/cgroup
tmpfs           7.8G  1.2G  6.6G  16% /dev/shm
tmpfs           4.0M  4.0M     0 100% /run/lock
`;
  expect(found(DF + rows)).toEqual([]);
});

test('memory.stat of a cgroup that is mostly slab is a finding, other contents are not', () => {
  const stat = (anon: number, reclaimable: number, unreclaimable: number) =>
    `anon ${anon}\nfile 22102016\nkernel_stack 1310720\npagetables 1523712\nsock 8192\nshmem 0\nfile_mapped 9318400\nslab_reclaimable ${reclaimable}\nslab_unreclaimable ${unreclaimable}\nslab ${reclaimable + unreclaimable}\npgfault 1\n`;
  const [slab] = found(stat(101_200_312, 8_408_743_448, 596_544)) ?? [];
  expect(slab).toMatchObject({ code: 'reclaimable-slab', severity: 'note', figures: { counter: 'slab_reclaimable' } });
  expect(findingWords(slab!)).toContain('(99 % of the cgroup’s memory, slab_reclaimable of memory.stat)');
  expect(found(stat(100, 0, 2 ** 30))).toMatchObject([{ code: 'unreclaimable-slab', severity: 'warning' }]);
  expect(found(stat(2 ** 33, 2 ** 30, 2 ** 30))).toEqual([]);
  expect(found(stat(100, 2 ** 20, 0))).toEqual([]);
});
