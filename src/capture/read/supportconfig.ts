import { wantedName } from './manifest.js';

/** Begins a section of a file or a command, which the next line names (log_cmd and conf_files of supportconfig.rc). */
const HEADING = /^#==\[ [^\]\n]{1,40} \]=+#\n# ?/m;

const CAT = /^(?:(?:\/usr)?\/bin\/)?cat (?=\/)/;

/** Commands, and the file of a sosreport with the same output. */
const COMMANDS: readonly (readonly [command: RegExp, file: string])[] = [
  [/^uname -a$/, 'sos_commands/kernel/uname_-a'],
  [/^lsmod\b/, 'sos_commands/kernel/lsmod'],
  [/^sysctl -a$/, 'sos_commands/kernel/sysctl_-a'],
  [/^hostname$/, 'hostname'],
  [/^date$/, 'sos_commands/date/date'],
  [/^getconf -a$/, 'sos_commands/libraries/getconf_-a'],
  [/^ss -\w*p\w*$/, 'sos_commands/networking/ss_-peaonmi'],
  [/^kdump-mem triage --json$/, 'sos_commands/kdump_mem/kdump-mem_triage_--json'],
  [/^ps (?:aux|axwwo user,pid,ppid,%cpu,%mem,vsz,rss,stat,time,cmd)/, 'sos_commands/process/ps_aux'],
];

/** Lines of that second form have a parent, but neither a terminal nor a start. */
const PS_LINE = /^(\S+ +\d+) +\d+ +(\d\S* +\d\S* +\d+ +\d+) +([A-Z]\S*) +(\d\S*) (.*)$/gm;

/** Files and outputs of commands in a file of a supportconfig, by their names in a sosreport; empty: it is none. */
export function supportconfigFiles(text: string): Map<string, string> {
  const byName = new Map<string, string>();
  for (const section of text.split(HEADING).slice(1)) {
    const end = section.indexOf('\n');
    const what = section.slice(0, end).trim().replace(CAT, '');
    const name = /^\/(?:proc|sys|var)\//.test(what) ? wantedName(what, {}) : fileOf(what);
    const body = `${section.slice(end + 1).trimEnd()}\n`;
    if (end < 0 || name === null || body === '\n') continue;
    byName.set(name, name.endsWith('ps_aux') ? body.replace(PS_LINE, '$1 $2 ? $3 - $4 $5') : body);
  }
  return byName;
}

function fileOf(what: string): string | null {
  const command = what.replace(/^(?:\/[\w.-]+)+\//, '');
  return COMMANDS.find(([form]) => form.test(command))?.[1] ?? null;
}
