import { messages } from '../../../src/account/log.js';
import { logJson } from '../../../src/answers/log/render.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import type { Command, Said } from './answers.js';

/** `log`: the ring with its descriptors, infos and texts. */
export const LOG = { commands: (): Command[] => [{ name: 'log', ask }], frames: () => new Map() };

function ask(kernel: Kernel): Said {
  const { messages: told, ...json } = logJson(messages(kernel, {}));
  return { json: { ...json, messages: told.map((one) => ({ key: one.seq, ...one })) }, complete: json.complete };
}
