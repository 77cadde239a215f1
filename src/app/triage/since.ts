import { statSync } from 'node:fs';
import type { MemoryAnswer } from '../../account/memory/answer.js';
import { storedWatchSample } from '../../answers/watch/sample.js';
import { HostError } from '../../base/errors.js';
import { storeFiles } from '../../base/store/line-store.js';
import type { HostState } from '../../diff/state.js';
import type { HostSource } from '../../host/host-source.js';
import { LineCutter } from '../../host/lines.js';
import { liveHost } from '../../host/live.js';
import { hostOrigin } from '../../host/proc/machine-sample.js';
import { changesSince } from '../../triage/baseline.js';
import type { Finding } from '../../triage/finding.js';
import { headOf, readInput } from '../diff/inputs.js';
import { HEAD } from '../watch/sample.js';

/**
 * Reads an earlier state of this machine: a snapshot, answers of memory, or the newest sample of watch.
 *
 * @throws {HostError} it cannot be read, or has no memory breakdown
 */
export async function readBaseline(path: string): Promise<HostState> {
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile();
  const isStore = isFile && headOf(path).toString('latin1').startsWith(HEAD);
  const state = isStore ? newestSample(path) : await readInput(path);
  if (state.memory !== null) return state;
  throw new HostError('unreadable', `${path}: no memory breakdown`, {
    next: 'Take a baseline: kdump-mem snapshot, or kdump-mem watch --store FILE.',
  });
}

/** Findings from the changes since a baseline. @throws {HostError} they cannot be compared */
export function findingsSince(
  baseline: HostState,
  source: HostSource,
  at: Date | null,
  { source: depth, memory }: MemoryAnswer,
): Finding[] {
  return changesSince(baseline, {
    name: 'now',
    origin: hostOrigin(source, at),
    release: null,
    pageSize: null,
    memory: { depth, tree: memory, drift: 0 },
    lists: {},
    flaws: [],
  });
}

/** A truncated last line is ignored: watch may be writing it. */
function newestSample(path: string): HostState {
  const last: string[] = [];
  for (const file of storeFiles(path).slice(-2)) {
    const cutter = new LineCutter((bytes, from, to) => {
      if (from < to) last.push(bytes.toString('utf8', from, to));
      if (last.length > 2) last.shift();
    });
    liveHost.readBytes(file, (bytes) => cutter.push(bytes));
    cutter.end();
  }
  const sample = last.map(storedWatchSample).findLast((each) => each !== null);
  if (!sample) throw new HostError('unreadable', `${path}: contains no sample`);
  const { machine } = sample.look;
  const children = [...(sample.ledger?.categories ?? [])].map(([category, bytes]) => ({
    category,
    bytes,
    children: [],
  }));
  return {
    name: path,
    origin: machine,
    release: null,
    pageSize: null,
    memory: sample.ledger && {
      depth: sample.ledger.source,
      tree: { category: 'memory', bytes: 0, children },
      drift: 0,
    },
    lists: {},
    flaws: [],
  };
}
