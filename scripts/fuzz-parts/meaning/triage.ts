import { accountMemory } from '../../../src/account/memory/memory.js';
import { accountAll } from '../../../src/account/sockets.js';
import { triageJson } from '../../../src/answers/triage/json.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { triage } from '../../../src/triage/triage.js';
import type { Command, Said } from './answers.js';

/** `triage`: what it reads beyond the sockets and the machine's memory. */
export const TRIAGE = {
  commands: (): Command[] => [{ name: 'triage', ask }],
  before(kernel: Kernel): void {
    accountAll(kernel);
    accountMemory(kernel);
  },
  frames: () => new Map(),
};

function ask(kernel: Kernel): Said {
  const { findings, ...json } = triageJson(triage(kernel));
  const keyed = findings.map(({ words: _, ...one }, index) => ({ key: `${one.code} ${index}`, ...one }));
  return { json: { ...json, findings: keyed }, complete: json.complete };
}
