import type { LogRecord } from '../../records/log-records.js';

/** LOG_KERN (syslog.h). */
const KERN = 0;

/** Whether a message is the kernel's own: what programs write to /dev/kmsg never has its facility. */
export function isOfKernel({ facility }: Pick<LogRecord, 'facility'>): boolean {
  return facility === null || facility === KERN;
}

/**
 * Messages that begin with the name of a program, which is up to 15 bytes of anything (show_signal_msg,
 * arch/x86/mm/fault.c and arch/arm64/kernel/traps.c; mm/oom_kill.c; warn_alloc, mm/page_alloc.c;
 * fs/drop_caches.c): what stands there is nobody's word but the program's.
 */
const OF_COMMAND =
  /^.{0,15}(?:\[\d+\][: ]| \(\d+\)[: ]| invoked oom-killer: |: (?:page allocation (?:failure[:.]|stalls) |vmalloc |[^:]{0,99}, mode:0x))/su;

/** Whether a message begins with what a program calls itself. */
export function beginsWithCommand(text: string): boolean {
  return OF_COMMAND.test(text);
}
