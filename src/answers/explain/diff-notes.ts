import type { Note } from '../../diff/notes.js';
import type { Explanations } from './explanation.js';

/** What must be known of what `diff` compared. */
export const DIFF_NOTES: Explanations<Note['code']> = {
  reordered: {
    means: 'The inputs were given in another order than that of their times. They were sorted.',
    known: 'Uptime, of one boot; else the clock of the day.',
    next: 'Nothing: the answer is that of the right order.',
  },
  'same-time': {
    means: 'Two inputs are of the same moment, perhaps copies of one. No rates are told.',
    known: 'Their times.',
    next: 'Give the files of two different times.',
  },
  'time-unknown': {
    means:
      'Of an input it is not known when it was taken. The order is that in which they were given, and no rates are told.',
    known: 'Answers of an older kdump-mem, and some captures and dumps, do not tell.',
    next: 'Give the earlier one first, or take them again with this kdump-mem.',
  },
  'clock-set': {
    means: 'The clock of the day and the time since the boot went on by different amounts.',
    known: 'Both clocks of first and last. Rates are by the time since the boot.',
    next: 'Do not take the times of the day by their word.',
  },
  'another-host': {
    means: 'The inputs are of different machines. What is told is how they differ, not what grew.',
    known: 'Host names, where boot ids do not prove that it is one boot.',
    next: 'Compare inputs of one machine, if growth is what you want.',
  },
  'another-boot': {
    means:
      'The machine was booted in between. Processes and sockets are others and are not compared; there are no rates.',
    known:
      'Boot ids; else the kernel’s release, or the time of the boot (clock less uptime), more than two minutes apart.',
    next: 'Compare inputs of one boot.',
  },
  'boot-unknown': {
    means: 'Nothing tells whether the inputs are of one boot of one host.',
    known: 'Boot ids, or the time of the boot and the host’s name: not all inputs have them.',
    next: 'Take answers and captures with this kdump-mem: they have it.',
  },
  'another-kernel': {
    means: 'The kernels have different releases. Categories and caches may be cut differently.',
    known: 'uname -r.',
    next: 'Keep that in mind where caches or callers changed.',
  },
  'another-page-size': {
    means: 'The base pages have different sizes: what takes whole pages takes other bytes.',
    known: 'The size of a page in each input.',
    next: 'Compare inputs of one kernel.',
  },
  'another-depth': {
    means:
      'One input looked at page frames, another at flags or counters. What these cannot see is in other categories, so single categories are not compared.',
    known: 'The `source` of each.',
    next: 'Take both in the same way: kdump-mem memory --live --source counters, for example.',
    deeper: 'kdump-mem memory --live --source counters',
  },
  'memory-plugged': {
    means: 'The machine has more (less) memory than before: it was plugged in or out.',
    known: 'The sum of all categories.',
    next: 'Take it off what free memory changed by.',
  },
  'another-size': {
    means: 'The machine of the last input has more (less) memory than that of the first.',
    known: 'The sum of all categories.',
    next: 'Compare shares, not bytes.',
  },
  'not-known-to-all': {
    means: 'An input knows nothing of a part that others know. That part is not compared.',
    known: 'What is in each input.',
    next: 'Add the answer that is missing to the file: kdump-mem procs --live --json >> FILE.',
  },
  'not-all-listed': {
    means:
      'A list is not whole (--limit, --container, hidepid). What is in one of them alone may have been there all the time.',
    known: 'What the list says of itself, and its number beside the total.',
    next: 'Take it as root, without options that leave something out.',
  },
  'began-before': {
    means:
      'Processes that the first input does not list began before it was taken: it missed them. They do not count as new.',
    known: 'When they began, beside the uptime of the first input.',
    next: 'Do not take the sum of processes by its word.',
  },
  'measured-otherwise': {
    means:
      'Some are not compared by the best measure, since not all inputs have it: processes by RSS in place of PSS, sockets by an estimate.',
    known: 'What the first and the last know of each.',
    next: 'Take both as root.',
  },
  'size-unknown': {
    means: 'What some changed by is not known, and not in any sum.',
    known: 'First and last have no measure in common, or one of them lacks the category.',
    next: 'Take both in the same way.',
  },
  'pid-used-again': {
    means: 'A pid is that of another process now. The two are not compared with each other.',
    known: 'The pid and the time at which the process began.',
    next: 'Nothing: one has ended, one is new.',
  },
  incomplete: {
    means: 'An input is not whole. What it lacks may be what grew.',
    known: 'It says so itself; its first reason is told.',
    next: 'Ask the command that made it, and read its warnings.',
  },
  contradictory: {
    means: 'Sums in an input do not add up: it was changed or damaged.',
    known: 'Categories and their parts, processes and their total, pages and slots of a socket.',
    next: 'Take it again, or find an undamaged copy.',
  },
  spread: {
    means: 'Answers of one file were taken more than a minute apart. They count as of one time.',
    known: 'The time of each.',
    next: 'Take them right after each other.',
  },
};
