import type { MemoryImage } from '../../kernel/native/image/image.js';
import { Vmcoreinfo } from '../../kernel/native/vmcoreinfo.js';
import type { NotedFacts } from './answer.js';

/** @param found what was found in memory, where the image carries none */
export function notedIn(image: MemoryImage, found?: Vmcoreinfo): NotedFacts {
  const text = image.vmcoreinfo;
  const info = found ?? (text === undefined ? undefined : new Vmcoreinfo(text));
  const release = info?.release ?? image.facts.release;
  const { buildId, crashTime } = info ?? {};
  return {
    ...(release === undefined ? {} : { release }),
    ...(buildId === undefined ? {} : { buildId }),
    ...(crashTime === undefined ? {} : { crashTime }),
  };
}
