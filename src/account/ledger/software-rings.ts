import type { NetDevice } from '../../walk/network/net-devices.js';
import { devicesWithRings } from '../../walk/network/software-rings.js';
import { TunReader } from '../../walk/network/tun.js';
import { type Known, reasonOf, type Step } from './pipeline.js';
import type { LedgerTools } from './tools.js';
import { packetsOf } from './waiting-packets.js';

/** Rows of the rings of software devices: one for each kind, named alone where they are not walked. */
export function* softwareRings(tools: LedgerTools): Generator<Step<'rings'>> {
  let groups: ReadonlyMap<string, readonly NetDevice[]>;
  try {
    groups = devicesWithRings(tools.kernel, tools.devices());
  } catch (error) {
    reasonOf(error);
    const fail = () => {
      throw error;
    };
    yield { code: 'rings', count: fail };
    return;
  }
  for (const [kind, group] of groups) {
    const devices = group.map(({ name }) => name);
    const count = (known: Known) => ringsOf(tools, known, kind, group);
    yield { code: 'rings', of: kind, devices, count };
  }
}

/** @throws as {@link TunReader} */
function ringsOf(
  tools: LedgerTools,
  known: Known,
  kind: string,
  group: readonly NetDevice[],
): ReturnType<Step<'rings'>['count']> {
  // Before 5.11 modules brought no types, and not every engine knows them.
  if (kind !== 'tun' || !tools.kernel.struct('tun_struct')) return { status: 'not-walked' };
  const reader = new TunReader(tools.kernel, tools.lists);
  const contents = group.map((device) => reader.ofDevice(device));
  const skbs = contents.flatMap((content) => content.skbs);
  const { packets, bytes, holds } = packetsOf(tools, known, skbs);
  // What these pin is not told.
  const frames = contents.reduce((sum, content) => sum + content.frames, 0);
  return {
    status: 'counted',
    objects: packets + frames,
    bytes: frames === 0 ? bytes : null,
    figures: { packets, frames },
    holds,
  };
}
