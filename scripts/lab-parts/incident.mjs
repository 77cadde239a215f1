// `scripts/lab dump KERNEL-incident`: the incident that this project is for. A worker takes connections
// and never reads them; what they pin is in no counter, until a program that asks for its usual memory
// ends the machine: it is told to panic when memory is short.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo } from './feeder.mjs';
import { bootGuest } from './guest.mjs';
import { guestTool, sourceHash } from './guest-program.mjs';
import { madeOnce } from './made.mjs';
import { kernelFiles, PARTS } from './paths.mjs';
import { inWords } from './words.mjs';

const PORTS = { unread: 9001, read: 9002 };
const CONNECTIONS = 16;
/** Each is larger than what a driver copies (GOOD_COPY_LEN), so that it keeps its page. */
const MESSAGES = { ofEach: 300, bytes: 200 };
/** Other traffic between two of them: as much as the driver's next pages take, whose rest goes back. */
const BETWEEN_BYTES = 48 * 1024;
const MIB = 2 ** 20;
const SOURCES = ['incident.mjs', 'feeder.mjs', 'guest-program.mjs'].map((file) => join(PARTS, file));
const PROGRAMS = ['reader.c', 'takeuser.c'].map((file) => join(PARTS, 'guest-programs', file));

await inWords(async () => {
  const [name = ''] = process.argv.slice(2);
  const kernel = name.replace(/-incident$/, '');
  const recipe = `${sourceHash(...SOURCES, ...PROGRAMS)} ${kernelFiles(kernel).release}\n`;
  await madeOnce(name, recipe, ['elf.vmcore', 'truth.json'], (work) => dumpInto(work, kernel));
});

/** @param {string} work a folder @param {string} kernel */
async function dumpInto(work, kernel) {
  const guest = await bootGuest({
    kernel,
    memoryMiB: 512,
    files: [
      { ...guestTool('reader', kernel), path: 'bin/report-worker' },
      { ...guestTool('reader', kernel), path: 'bin/gateway' },
      { ...guestTool('takeuser', kernel), path: 'bin/app-server' },
      { ...guestTool('takeuser', kernel), path: 'bin/nightly-batch' },
    ],
    append: 'panic=0',
    tcpPorts: Object.values(PORTS),
  });
  try {
    await guest.run('hostname web-7; echo 1 > /proc/sys/vm/panic_on_oom');
    await guest.run(`report-worker ${PORTS.unread} starving; gateway ${PORTS.read}`);
    await guest.run(`app-server anonymous ${48 * MIB} > /run/app 2>&1 & until [ -s /run/app ]; do usleep 20000; done`);
    await feed(guest.tcpPorts);
    const wanted = CONNECTIONS * MESSAGES.ofEach * MESSAGES.bytes;
    let unread = 0;
    for (let tries = 0; unread < wanted && tries < 300; tries++) {
      await sleep(200);
      unread = await unreadIn(guest);
    }
    if (unread !== wanted) throw new Error(`${unread} of ${wanted} bytes wait in the guest`);
    // Nobody reads for a while.
    await guest.run('sleep 45');
    const before = {
      unread,
      meminfo: (await guest.run('cat /proc/meminfo')).output.toString(),
      sockstat: (await guest.run('cat /proc/net/sockstat')).output.toString(),
    };
    guest.run(`nightly-batch anonymous ${400 * MIB} > /dev/null 2>&1 &`).catch(() => {});
    await guest.waitFor(/Kernel panic - not syncing: [^\n]*\n/);
    await guest.waitFor(/end Kernel panic/);
    await guest.pause();
    await guest.dump('elf', join(work, 'elf.vmcore'));
    writeFileSync(join(work, 'truth.json'), `${JSON.stringify(before, null, 1)}\n`);
  } finally {
    guest.kill();
  }
}

/** @param {Map<number, number>} ports of the guest, and where they are reached */
async function feed(ports) {
  const to = (/** @type {number} */ port) => {
    const at = ports.get(port);
    if (at === undefined) throw new Error(`nothing leads to port ${port} of the guest`);
    return connectTo(at);
  };
  const other = await to(PORTS.read);
  const connections = [];
  for (let i = 0; i < CONNECTIONS; i++) connections.push(await to(PORTS.unread));
  const [message, between] = [Buffer.alloc(MESSAGES.bytes, 'm'), Buffer.alloc(BETWEEN_BYTES, 'o')];
  for (let i = 0; i < MESSAGES.ofEach; i++)
    for (const connection of connections) {
      connection.write(message);
      await sleep(1);
      if (!other.write(between)) await once(other, 'drain');
      await sleep(1);
    }
}

/** @param {import('./guest.mjs').Guest} guest @returns {Promise<number>} bytes in receive queues of that port */
async function unreadIn(guest) {
  const { output } = await guest.run('cat /proc/net/tcp');
  const rows = output.toString().split('\n').slice(1);
  const hex = PORTS.unread.toString(16).toUpperCase();
  let sum = 0;
  for (const row of rows) {
    const [, , local = '', , state, queues = ''] = row.split(/\s+/);
    if (local.endsWith(`:${hex}`) && state === '01') sum += Number.parseInt(queues.split(':')[1] ?? '0', 16);
  }
  return sum;
}
