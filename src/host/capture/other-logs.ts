import type { CapturedFiles } from './files.js';
import { isOfLogs } from './wanted.js';

export interface OtherLog {
  /** The file, or the folder of the records. */
  readonly name: string;
  /** Records of pstore, or the one file. */
  readonly records: readonly { readonly name: string; readonly text: string }[];
  readonly isPstore: boolean;
}

/** Of those, each once: of journals of one boot the one without explanations, of pstore all records as one. */
export function otherLogs(captured: CapturedFiles): OtherLog[] {
  const names = captured.names().filter(isOfLogs).sort();
  const logs = new Map<string, { name: string; text: string }[]>();
  for (const name of names) {
    const plain = name.replace('_--catalog', '');
    if (plain !== name && names.includes(plain)) continue;
    const isRecord = /(?:^|\/)dmesg-[a-z_]+-\d+$/.test(name);
    const folder = name.slice(0, name.lastIndexOf('/') + 1);
    const key = isRecord ? `${folder}dmesg-*` : name;
    logs.set(key, [...(logs.get(key) ?? []), { name, text: captured.get(name) ?? '' }]);
  }
  return [...logs].map(([name, records]) => ({
    name,
    records,
    isPstore: name.endsWith('dmesg-*'),
  }));
}
