// The scenario: a guest full of processes whose sockets are in known states, fed and at rest.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { feedTcp, feedUdp } from './feeder.mjs';
import { bootGuest } from './guest.mjs';
import { guestProgram, sourceHash, sourcesIn } from './guest-program.mjs';
import { PARTS } from './paths.mjs';

// The same numbers as in guest/roles.h.
const PORTS = { starving: 9001, starvingLarge: 9002, healthy: 9003, udpFed: 9004 };
// A guest without window scaling takes 65,535 bytes at most from QEMU's network.
const STARVING = { count: 6400, size: 10, burst: 3 };
const STARVING_LARGE = { count: 160, size: 400, burst: 1 };
const HEALTHY = { count: 500, size: 100, burst: 5 };
const UDP_FED = { count: 40, size: 600 };

/**
 * Tells this scenario from an older or newer one: a hash over all that makes it what it is.
 *
 * @param {...string} more of the lab's own files that have a part in it
 * @returns {string}
 */
export function scenarioRecipe(...more) {
  const own = ['scenario.mjs', 'feeder.mjs', 'guest-program.mjs', ...more];
  return sourceHash(...sourcesIn('guest'), ...own.map((name) => join(PARTS, name)));
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
    files: [...(options.files ?? []), guestProgram('scenario', sourcesIn('guest'), options.kernel)],
    modules: [...(options.modules ?? []), 'tun'],
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
  // One after the other: packets that meet in the guest's ring are merged in other ways.
  await feedTcp(port(tcpPorts, PORTS.starving), STARVING);
  await feedTcp(port(tcpPorts, PORTS.starvingLarge), STARVING_LARGE);
  await feedTcp(port(tcpPorts, PORTS.healthy), HEALTHY);
  await feedUdp(port(udpPorts, PORTS.udpFed), UDP_FED);
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

/**
 * Two looks that agree: nothing is on its way any more.
 *
 * @param {import('./guest.mjs').Guest} guest
 */
export async function settledTruth(guest) {
  let last = await readTruth(guest);
  for (let tries = 0; tries < 50; tries++) {
    const next = await readTruth(guest);
    if (isDeepStrictEqual(last, next)) return next;
    last = next;
  }
  throw new Error('the guest does not come to rest');
}
