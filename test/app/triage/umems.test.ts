import { expect, test } from 'vitest';
import { findingWords } from '../../../src/answers/triage/words.js';
import { withUmems } from '../../../src/app/triage/umems.js';
import { found } from '../../../src/triage/finding.js';
import { HostReader } from '../../../src/triage/host-reader.js';
import { FakeHost } from '../../host/fake-host.js';

const MIB = 2 ** 20;

/** As ss prints it, of a kernel with xsk_diag. */
const row = (inode: number, id: number, mib: number) =>
  `xdp UNCONN 0 0 * * ino:${inode} sk:${inode} tumem(id:${id},size:${mib * MIB},num_pages:${mib * 256},chunk_size:4096,headroom:0,ifindex:0,qid:0,zc:0,refs:1) stats(rx dropped:0)\n`;

function host(rows: string): FakeHost {
  const fake = new FakeHost(() => '');
  fake.others = rows;
  const sockets = { 7: [70, 71], 8: [80] };
  for (const name of ['self', ...Object.keys(sockets)]) fake.links.set(`/proc/${name}/ns/net`, 'net:[1]');
  for (const [pid, inodes] of Object.entries(sockets)) {
    fake.files.set(`/proc/${pid}/comm`, `p${pid}\n`);
    for (const [fd, inode] of inodes.entries()) fake.links.set(`/proc/${pid}/fd/${fd}`, `socket:[${inode}]`);
  }
  return fake;
}
const pins = (pid: number | null) =>
  found('pinned-pages', 'note', { pid, comm: null, pinnedBytes: 300 * MIB, share: 0.1, uncounted: 1 });
const named = async (rows: string, pid: number | null = null) =>
  (await withUmems(new HostReader(host(rows), 4096), [pins(pid)]))[0]!;

test('pins that no process counts are of the process with most memory registered with AF_XDP', async () => {
  // The sockets of pid 7 share theirs.
  const finding = await named(row(70, 0, 100) + row(71, 0, 100) + row(80, 1, 150));
  expect(finding.figures).toMatchObject({ pid: 8, comm: 'p8', kinds: 'AF_XDP', registeredBytes: 150 * MIB });
  expect(findingWords(finding)).toContain('pid 8 (p8) has registered 150 MiB with AF_XDP.');
  expect((await named(row(70, 0, 100) + row(71, 2, 100) + row(80, 1, 150))).figures).toMatchObject({ pid: 7 });
});

test('their process is unknown without rows, and one that is known stays', async () => {
  expect(await named('')).toEqual(pins(null));
  expect(await named('xdp UNCONN 0 0 * * ino:70 sk:1\n')).toEqual(pins(null));
  expect(await named(row(70, 0, 100), 9)).toEqual(pins(9));
});
