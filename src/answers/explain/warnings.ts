import type { WarningCode } from '../../walk/warnings.js';
import type { Explanations } from './explanation.js';

/** What makes an answer of kdump-mem incomplete or doubtful. */
export const WARNINGS: Explanations<WarningCode> = {
  'by-release': {
    means:
      'Symbols or types of a kernel were taken from a file that has its release, and nothing proves that it is of the same build: every figure may be wrong.',
    known: 'Neither the dump nor the file has a build id (triage --symbols-dir).',
    next: 'Put the vmlinux of exactly that build into the folder, by its build id.',
    deeper: 'kdump-mem info',
  },
  'types-not-verified': {
    means:
      'The kernel’s types come from a file (--types), and nothing shows that they are this kernel’s. Every figure may be wrong, even where the answer is complete.',
    known:
      'Neither a build id, a banner, a release nor a size or an offset of VMCOREINFO could be compared. A file that contradicts one of them is refused.',
    next: 'Give a vmlinux or .debug file: its build id is compared.',
    deeper: 'kdump-mem info',
  },
  'types-incomplete': {
    means:
      'The kernel’s types come from an ISF file, which lacks members of unions with several anonymous structs. What such a member leads to is not counted: answers are incomplete.',
    known:
      'The form of the file: dwarf2json gives all anonymous members at one offset one name, and keeps the last.',
    next: 'Give the vmlinux or .debug file that the ISF file was made of.',
    deeper: 'kdump-mem info',
  },
  unreadable: {
    means:
      'Memory that the answer needs is not in the dump, or could not be read: its figures are what was found, "at least".',
    known:
      'A read that failed, and why: left out by makedumpfile’s filter, never dumped, not mapped, damaged, or cut off.',
    next: 'Where the filter left it out, dump with makedumpfile -d 1 (or less); where the file is cut, copy it again.',
    deeper: 'kdump-mem info',
  },
  'freed-while-read': {
    means:
      'Processes exited, files were closed, or vmap areas were freed on a running kernel while they were read. It is normal change, and leaves the answer complete: what they held is free memory by now, or another object’s.',
    known:
      'A second read at the same place: the thread is exiting (PF_EXITING) or its task_struct is another’s, the descriptor has another file, the area is off the list. Where the object is still there, the answer is incomplete instead.',
    next: 'Nothing. For figures of one moment, take a dump.',
    deeper: 'kdump-mem memory --live',
  },
  'torn-list': {
    means:
      'A list’s links or its own count contradict what was met: damage in a dump, a change amid the reading on a live kernel. What lies behind the tear is not counted.',
    known:
      'Both directions of each list, and the queue’s own length (qlen), beside what was walked.',
    next: 'Live: ask again. In a dump: suspect corruption, and look for memory-corruption among the findings.',
    deeper: 'kdump-mem triage',
  },
  corrupt: {
    means:
      'A count or pointer is such as no sound kernel holds, or two facts contradict each other that must be the same. One of them is wrong, and the answer says so instead of choosing.',
    known:
      'Each count is held against a second fact of the kernel (docs/memory.md, "What is checked").',
    next: 'Look at the values themselves. On a dump of a machine that ran on while it was dumped (virsh dump --live) such things are normal.',
    deeper: 'kdump-mem struct TYPE ADDRESS',
  },
  'order-unknown': {
    means:
      'Pages are of allocations whose order the kernel does not record. Each is counted as one page: bytes are "at least".',
    known: 'struct page: in use, no compound page, and nothing that tells how many go with it.',
    next: 'Take the figure for the least that it can be.',
  },
  'device-memory': {
    means:
      'Frags of packets that lie in memory of a device (net_iov, devmem TCP): they pin no page of this machine, and are not counted.',
    known: 'The lowest bit of the frag’s netmem (NET_IOV, include/net/netmem.h), and who lent it.',
    next: 'Nothing of this machine’s memory is missing. The device’s own tools tell of its memory.',
  },
  'head-not-counted': {
    means:
      'Something that a queue holds, mostly the linear part of an skb, lies outside of the direct map, so that its pages were not followed: the answer is short of it.',
    known: 'Its address beside the direct map of physical memory.',
    next: 'Look at that skb by itself.',
    deeper: 'kdump-mem skb',
  },
  'unsupported-layout': {
    means:
      'This kernel has something whose layout this program does not know, and that part of the answer is missing.',
    known:
      'A structure or member that was looked for by name in the kernel’s types (BTF) and is not there.',
    next: 'Report it with the kernel’s release; where only its types are missing, give --types FILE.',
    deeper: 'kdump-mem struct TYPE',
  },
};
