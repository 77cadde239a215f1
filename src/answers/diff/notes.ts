import type { Note } from '../../diff/notes.js';
import type { ListName } from '../../diff/state.js';
import { formatSeconds } from '../growth/words.js';
import { formatCount, formatSize } from '../text/size.js';

/** What is listed, in the plural. */
export const PARTS: Readonly<Record<ListName | 'categories', string>> = {
  categories: 'where the memory is',
  processes: 'processes',
  sockets: 'sockets',
  caches: 'slab caches',
  callers: 'callers of vmalloc',
  cgroups: 'cgroups',
};

/** How the best measure of a list is called, and what was taken in its place. */
const OTHERWISE: Readonly<Record<ListName, string>> = {
  processes: 'by RSS, in which shared memory counts for each, since PSS is not known to both',
  sockets: 'by an estimate, or by payload that waits: not all inputs count their pages',
  caches: 'otherwise',
  callers: 'otherwise',
  cgroups:
    'by what their processes hold, or by the kernel’s count with cgroups below: not all inputs have page frames by cgroup',
};

/** A note in words for people. Names in it are hostile: whoever prints it escapes it. */
export function noteWords(note: Note): string {
  switch (note.code) {
    case 'reordered':
      return 'the inputs were not given in the order of their times: they are sorted, the earliest first';
    case 'same-time':
      return `${note.names.join(', ')}: two of them are of the same time: the same look twice? No rates are told`;
    case 'time-unknown':
      return `${note.names.join(', ')}: when that was taken is not told: the inputs stand in the order in which they were given, and no rates are told`;
    case 'clock-set':
      return `the clock of the day was set, or the machine slept: by ${formatSeconds(Math.abs(note.seconds))} it went on ${note.seconds > 0 ? 'more' : 'less'} than the time since the boot`;
    case 'another-host':
      return `the inputs are of different hosts (${note.hosts.join(', ')}): this is how they differ, not what grew`;
    case 'another-boot':
      return 'the machine was booted in between: processes and sockets are others, and no rates are told';
    case 'boot-unknown':
      return 'nothing tells whether all inputs are of one boot of one host: what is compared as one process or socket may be two';
    case 'another-kernel':
      return `the kernels are different: ${note.releases.join(', ')}`;
    case 'another-page-size':
      return `the sizes of a page are different: ${note.sizes.join(', ')} bytes`;
    case 'another-depth':
      return `the inputs look differently deep (${note.depths.join(', ')}): single categories cannot be compared, only free memory and groups can`;
    case 'memory-plugged':
      return note.bytes > 0
        ? `${formatSize(note.bytes)} of memory were plugged in meanwhile`
        : `${formatSize(-note.bytes)} of memory were plugged out meanwhile`;
    case 'another-size':
      return `the last has ${formatSize(Math.abs(note.bytes))} of memory ${note.bytes > 0 ? 'more' : 'less'} than the first`;
    case 'not-known-to-all':
      return `${note.names.join(', ')}: knows nothing of ${PARTS[note.part]}`;
    case 'not-all-listed':
      return `not all ${PARTS[note.part]} are listed in every input: what is in one of them alone may have been there before or after`;
    case 'began-before':
      return `${formatCount(note.count)} of the ${PARTS[note.part]} began before the first input was taken, which does not list ${note.count === 1 ? 'it' : 'them'}`;
    case 'measured-otherwise':
      return `${formatCount(note.count)} of the ${PARTS[note.part]} ${note.count === 1 ? 'is' : 'are'} compared ${OTHERWISE[note.part]}`;
    case 'size-unknown':
      if (note.part === 'categories')
        return `first or last lacks ${formatCount(note.count)} of the categories: what ${note.count === 1 ? 'it' : 'they'} changed by is not known`;
      return `of ${formatCount(note.count)} of the ${PARTS[note.part]} it is not known what changed`;
    case 'pid-used-again':
      return `${formatCount(note.count)} ${note.count === 1 ? 'pid is' : 'pids are'} another process’s at last: those that had ${note.count === 1 ? 'it' : 'them'} first have ended`;
    case 'incomplete':
      return `${note.name} is not whole: ${note.words}`;
    case 'contradictory':
      return `${note.name} contradicts itself: ${note.words}. Was it changed or damaged?`;
    case 'spread':
      return `${note.name}: ${note.words}`;
  }
}
