import type { Listing } from '../../../account/listing.js';
import { hex } from '../../../base/hex.js';
import type { LoadedModule } from '../../../walk/lists/loaded-modules.js';
import type { MountList } from '../../../walk/lists/mount-list.js';
import type { RunQueue } from '../../../walk/lists/run-queues.js';
import type { SharedSegment } from '../../../walk/lists/shared-segments.js';
import type { SwapDevice } from '../../../walk/lists/swap-devices.js';
import { kernelJson } from '../../kernel-json.js';
import type {
  ModulesJson,
  MountsJson,
  RunQueuesJson,
  SharedMemoryJson,
  SwapJson,
} from './schema.js';

function shapeOf({ kernel, complete, warnings }: Listing<unknown>) {
  return { kernel: kernelJson(kernel), complete, warnings };
}

export function modulesJson(answer: Listing<readonly LoadedModule[]>): ModulesJson {
  const modules = answer.found.map(({ address, state, size, text, references, ...module }) => ({
    ...module,
    address: hex(address),
    state: state ?? null,
    sizeBytes: size,
    textBytes: text,
    references: references ?? null,
  }));
  return { schema: 'kdump-mem.modules/1', modules, ...shapeOf(answer) };
}

export function mountsJson(answer: Listing<MountList>): MountsJson {
  const { namespace, mounts } = answer.found;
  return {
    schema: 'kdump-mem.mounts/1',
    namespace,
    mounts: mounts.map(({ address, superBlock, source, path, ...mount }) => ({
      ...mount,
      address: hex(address),
      superBlock: hex(superBlock),
      source: source ?? null,
      path: path ?? null,
    })),
    ...shapeOf(answer),
  };
}

export function swapJson(answer: Listing<readonly SwapDevice[]>): SwapJson {
  const { pageSize } = answer.kernel;
  const devices = answer.found.map(({ address, path, kind, pages, used, usedSlots, priority }) => ({
    address: hex(address),
    path: path ?? null,
    kind,
    sizeBytes: pages * pageSize,
    usedBytes: used * pageSize,
    usedSlotBytes: bytesOf(usedSlots, pageSize),
    priority,
  }));
  return { schema: 'kdump-mem.swap/1', devices, ...shapeOf(answer) };
}

/** SHM_DEST (include/uapi/linux/shm.h). */
const REMOVED = 0o1000;

export function sharedMemoryJson(answer: Listing<readonly SharedSegment[]>): SharedMemoryJson {
  const { pageSize } = answer.kernel;
  const segments = answer.found.map((segment) => ({
    address: hex(segment.address),
    id: segment.id,
    key: hex(BigInt(segment.key)),
    uid: segment.uid,
    permissions: (segment.mode & 0o777).toString(8).padStart(3, '0'),
    removed: (segment.mode & REMOVED) !== 0,
    sizeBytes: segment.bytes,
    attaches: segment.attaches,
    creatorPid: segment.creator ?? null,
    lastPid: segment.lastUser ?? null,
    residentBytes: bytesOf(segment.resident, pageSize),
    swapBytes: bytesOf(segment.swapped, pageSize),
  }));
  return { schema: 'kdump-mem.shared-memory/1', segments, ...shapeOf(answer) };
}

function bytesOf(pages: number | undefined, pageSize: number): number | null {
  return pages === undefined ? null : pages * pageSize;
}

export function runQueuesJson(answer: Listing<readonly RunQueue[]>): RunQueuesJson {
  const cpus = answer.found.map(({ cpu, current, running, tasks }) => ({
    cpu,
    current: { address: hex(current.address), pid: current.pid, comm: current.comm },
    running,
    tasks: tasks.map(({ address, ...task }) => ({ ...task, address: hex(address) })),
  }));
  return { schema: 'kdump-mem.run-queues/1', cpus, ...shapeOf(answer) };
}
