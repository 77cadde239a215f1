// The scenario: a guest full of processes whose sockets are in known states, fed and at rest.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { feedTcp, feedUdp } from './feeder.mjs';
import { bootGuest } from './guest.mjs';
import { LAB, PARTS } from './paths.mjs';

// The same numbers as in guest/roles.h.
const PORTS = { starving: 9001, starvingLarge: 9002, healthy: 9003, udpFed: 9004 };
// A guest without window scaling takes 65,535 bytes at most from QEMU's network.
const STARVING = { count: 6400, size: 10 };
const STARVING_LARGE = { count: 160, size: 400, pauseMs: 1 };
const HEALTHY = { count: 500, size: 100 };
const UDP_FED = { count: 40, size: 600, pauseMs: 2 };

/** Compiles the guest's program unless it is newer than its sources. @returns {string} its path */
export function scenarioProgram() {
  const sources = readdirSync(join(PARTS, 'guest')).map((name) => join(PARTS, 'guest', name));
  const program = join(LAB, 'guest', 'scenario');
  const newest = Math.max(...sources.map((path) => statSync(path).mtimeMs));
  const built = statSync(program, { throwIfNoEntry: false });
  if (built !== undefined && built.mtimeMs > newest) return program;
  mkdirSync(join(LAB, 'guest'), { recursive: true });
  const partial = `${program}.${process.pid}`;
  const inputs = sources.filter((path) => path.endsWith('.c'));
  const flags = ['-O1', '-Wall', '-Wextra', '-static', '-pthread'];
  execFileSync('gcc', [...flags, '-o', partial, ...inputs], { stdio: ['ignore', 2, 2] });
  renameSync(partial, program);
  return program;
}

/**
 * Boots a guest, makes the scenario in it, feeds it, and waits until all is at rest.
 *
 * @param {import('./guest.mjs').GuestOptions} options
 * @returns {Promise<import('./guest.mjs').Guest>}
 */
export async function bootScenario(options) {
  const guest = await bootGuest({
    ...options,
    files: [...(options.files ?? []), { path: 'bin/scenario', from: scenarioProgram() }],
    tcpPorts: [PORTS.starving, PORTS.starvingLarge, PORTS.healthy, ...(options.tcpPorts ?? [])],
    udpPorts: [PORTS.udpFed, ...(options.udpPorts ?? [])],
  });
  try {
    await guest.run('scenario start');
    await feed(guest);
    return guest;
  } catch (error) {
    guest.kill();
    throw error;
  }
}

/** @param {import('./guest.mjs').Guest} guest */
async function feed(guest) {
  const { tcpPorts, udpPorts } = guest;
  await Promise.all([
    feedTcp(port(tcpPorts, PORTS.starving), STARVING),
    feedTcp(port(tcpPorts, PORTS.starvingLarge), STARVING_LARGE),
    feedTcp(port(tcpPorts, PORTS.healthy), HEALTHY),
    feedUdp(port(udpPorts, PORTS.udpFed), UDP_FED),
  ]);
  const wanted = [
    ['starving', 'unread', STARVING.count * STARVING.size],
    ['starving-large', 'unread', STARVING_LARGE.count * STARVING_LARGE.size],
    ['healthy', 'consumed', HEALTHY.count * HEALTHY.size],
    ['udp-fed', 'unread', UDP_FED.size],
  ];
  let missing = '';
  for (let tries = 0; tries < 200; tries++) {
    const truth = await readTruth(guest);
    const short = wanted.find(([name, key, bytes]) => {
      const role = truth.roles.find((/** @type {{ name: string }} */ one) => one.name === name);
      return (key === 'unread' ? role?.socket?.unread : role?.consumed) !== bytes;
    });
    if (short === undefined) return;
    missing = short.join(' ');
    await sleep(100);
  }
  throw new Error(`the guest's queues did not fill: ${missing}\n${(await guest.run('scenario truth')).output}`);
}

/** @param {Map<number, number>} ports @param {number} wanted */
function port(ports, wanted) {
  return ports.get(wanted) ?? 0;
}

/**
 * What is true of the scenario's sockets now, as user space sees it. test/support/lab.ts has its type.
 *
 * @param {import('./guest.mjs').Guest} guest
 */
export async function readTruth(guest) {
  return JSON.parse((await guest.run('scenario truth')).output.toString());
}
