import { existsSync } from 'node:fs';
import path from 'node:path';
import { programPath, shellPath } from '../../base/shell.js';

const PROGRAMS: readonly string[] = ['kdump-mem', 'skcheck'];
/** A command at the end of a printed sentence: `Next: kdump-mem …`, `List all codes: kdump-mem …`. */
const COMMAND =
  /(?<=^(?: {2}Next {5}| *More:|(?:.*[.)] )?[A-Z][^:]*:) )(?:kdump-mem|skcheck)(?= [a-z-])/gm;

/**
 * Rewrites the commands in printed text so that they run as printed: `./kdump-mem` if this process was
 * started that way.
 */
export function asCalled(text: string): string {
  return text.replace(COMMAND, (program) => calledAs(program));
}

/**
 * Returns how to call a program from the current directory: by name, or by its path next to the running
 * program.
 */
function calledAs(program: string): string {
  const { argv, argv0 } = process;
  // For an executable with embedded node, argv0 is the program. Otherwise argv0 is node, and argv[1] is the
  // program.
  const running = PROGRAMS.includes(path.basename(argv0)) ? argv0 : (argv[1] ?? '');
  if (!running.includes('/') || !PROGRAMS.includes(path.basename(running))) return program;
  const file = path.join(path.dirname(path.resolve(running)), program);
  if (!existsSync(file) || programPath(program) === file) return program;
  const near = path.relative('', file);
  const relative = near.startsWith('../') ? near : `./${near}`;
  return shellPath(relative.length < file.length ? relative : file);
}
