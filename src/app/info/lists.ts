import { type Listing, listing } from '../../account/listing.js';
import * as json from '../../answers/info/lists/json.js';
import * as text from '../../answers/info/lists/text.js';
import type { Kernel } from '../../kernel/kernel.js';
import { loadedModules } from '../../walk/lists/loaded-modules.js';
import { mountList } from '../../walk/lists/mount-list.js';
import { runQueues } from '../../walk/lists/run-queues.js';
import { sharedSegments } from '../../walk/lists/shared-segments.js';
import { swapDevices } from '../../walk/lists/swap-devices.js';
import type { Warnings } from '../../walk/warnings.js';
import { type AnswerOptions, answer } from '../kit/answer.js';

export type ListName = 'modules' | 'mounts' | 'swap' | 'sharedMemory' | 'runQueues';

type Print = (options: AnswerOptions, pid: number | undefined) => Promise<void>;

/** Prints a list. */
function printing<Found, Json>(
  read: (kernel: Kernel, warnings: Warnings, pid: number | undefined) => Found,
  toJson: (answer: Listing<Found>) => Json,
  toText: (json: Json, width: number | null) => string,
): Print {
  return (options, pid) =>
    answer(options, {
      ask: (kernel) => listing(kernel, (own, warnings) => read(own, warnings, pid)),
      toJson,
      toText: (found, width) => toText(toJson(found), width),
    });
}

const LISTS: Readonly<Record<ListName, Print>> = {
  modules: printing(loadedModules, json.modulesJson, text.modulesText),
  mounts: printing(mountList, json.mountsJson, text.mountsText),
  swap: printing(swapDevices, json.swapJson, text.swapText),
  sharedMemory: printing(sharedSegments, json.sharedMemoryJson, text.sharedMemoryText),
  runQueues: printing(runQueues, json.runQueuesJson, text.runQueuesText),
};

/** @param pid a process of the namespace that is listed */
export function printList(
  list: ListName,
  options: AnswerOptions,
  pid: number | undefined,
): Promise<void> {
  return LISTS[list](options, pid);
}
