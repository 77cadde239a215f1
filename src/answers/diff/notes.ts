import type { Note } from '../../diff/notes.js';
import type { ListName } from '../../diff/state.js';
import { formatSeconds } from '../growth/words.js';
import { formatCount, formatSize } from '../text/size.js';

/** The parts of an answer, in the plural. */
export const PARTS: Readonly<Record<ListName | 'categories', string>> = {
  categories: 'categories',
  processes: 'processes',
  sockets: 'sockets',
  caches: 'slab caches',
  callers: 'vmalloc callers',
  cgroups: 'cgroups',
};

/** What a list was measured by in place of its best measure, and why. */
const LESSER_MEASURE: Readonly<Record<ListName, string>> = {
  processes: 'by RSS, which counts shared memory in each process: an input lacks PSS',
  sockets: 'by estimates or unread payload: an input lacks their pages',
  caches: 'by another measure',
  callers: 'by another measure',
  cgroups:
    'by the memory of their processes or by usage with child cgroups: an input lacks page frames by cgroup',
};

/** A note in words for people. Names in it are hostile: whoever prints it escapes it. */
export function noteWords(note: Note): string {
  switch (note.code) {
    case 'reordered':
      return 'inputs sorted by time: they were not given earliest first';
    case 'same-time':
      return `${note.names.join(', ')}: at least two have the same time of capture, so rates are not available`;
    case 'time-unknown':
      return `${note.names.join(', ')}: time of capture unknown, so the inputs stay in the given order and rates are not available`;
    case 'clock-set':
      return `the clock was set or the machine slept: the clock advanced ${formatSeconds(Math.abs(note.seconds))} ${note.seconds > 0 ? 'more' : 'less'} than the uptime`;
    case 'different-hosts':
      return `different hosts (${note.hosts.join(', ')}): changes are differences between hosts, not growth`;
    case 'different-boots':
      return 'the machine rebooted in between: processes and sockets are not compared, and rates are not available';
    case 'boot-unknown':
      return 'unknown whether all inputs are of one boot of one host: different processes or sockets may be compared as one';
    case 'different-kernels':
      return `different kernels (${note.releases.join(', ')}): names of categories, caches and callers may differ`;
    case 'different-page-sizes':
      return `different page sizes: ${note.sizes.join(', ')} bytes`;
    case 'different-sources':
      return `different sources (${note.depths.join(', ')}): only free memory and groups of categories are compared`;
    case 'memory-hotplug':
      return `${formatSize(Math.abs(note.bytes))} of memory ${note.bytes > 0 ? 'hot-added' : 'hot-removed'} between the inputs`;
    case 'different-memory-sizes':
      return `the last input has ${formatSize(Math.abs(note.bytes))} ${note.bytes > 0 ? 'more' : 'less'} memory in total than the first`;
    case 'missing-in-input':
      return `${note.names.join(', ')}: ${PARTS[note.part]} not available, so they are not compared`;
    case 'list-incomplete':
      return `incomplete list of ${PARTS[note.part]} in an input: an entry that only one input has may be in both`;
    case 'missed-process':
      return `${formatCount(note.count)} of the ${PARTS[note.part]} started before the first input was captured, but ${note.count === 1 ? 'is' : 'are'} missing there`;
    case 'lesser-measure':
      return `${formatCount(note.count)} of the ${PARTS[note.part]} ${note.count === 1 ? 'is' : 'are'} compared ${LESSER_MEASURE[note.part]}`;
    case 'change-unknown':
      return note.part === 'categories'
        ? `change unknown for ${formatCount(note.count)} ${note.count === 1 ? 'category that is' : 'categories that are'} missing in the first or last input`
        : `change unknown for ${formatCount(note.count)} of the ${PARTS[note.part]}`;
    case 'pid-reused':
      return `${formatCount(note.count)} ${note.count === 1 ? 'pid was' : 'pids were'} reused: the first ${note.count === 1 ? 'process has' : 'processes have'} exited`;
    case 'incomplete':
      return `${note.name} is incomplete: ${note.words}`;
    case 'inconsistent':
      return `${note.name} is inconsistent (modified or damaged?): ${note.words}`;
    case 'spread':
      return `${note.name}: ${note.words}`;
  }
}
