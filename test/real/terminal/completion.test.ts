import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { commandPath } from '../../support/cli.js';
import { fixture } from '../../support/fixtures.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('completion-');
const environment = { PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, HOME: folder, LC_ALL: 'C.UTF-8' };

beforeAll(() => {
  mkdirSync(join(folder, 'bin'));
  symlinkSync(process.execPath, join(folder, 'bin/node'));
  for (const name of ['kdump-mem', 'skcheck'] as const) symlinkSync(commandPath(name), join(folder, 'bin', name));
  symlinkSync(fixture('6.1').vmcore, join(folder, 'a-vmcore'));
  symlinkSync(fixture('6.1').vmcore, join(folder, 'my dump:1'));
});

/** The words before a tab, and those after = if the shell treats that as a word. */
const asBash = (line: string) => line.split(/(?<!\\) |(=)/).filter((word) => word !== undefined);

/** How each shell completes a line. */
const SHELLS = {
  // Its own mechanism: the text that would be inserted.
  fish: (line: string) =>
    run('fish', ['-N', '-c', 'kdump-mem completion fish | source; complete -C "$line"'], { line }),
  // The functions that the shells call, with the same arguments; the shells add file names.
  bash: (line: string) => {
    const script = `eval "$(kdump-mem completion bash)"
      compopt() { echo FILES; }
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE=$line
      complete -p "$1" > /dev/null && "_\${1//-/_}" "$1" "\${COMP_WORDS[COMP_CWORD]}" ''
      printf '%s\\n' "\${COMPREPLY[@]}"`
      .replaceAll('\\\\', '\\')
      .replaceAll('\\$', '$');
    return run('bash', ['--norc', '-c', script, 'bash', ...asBash(line)], { line });
  },
  zsh: (line: string) => {
    const script = `compdef() { :; }; _files() { print FILES; }
      _describe() { print -l -- "\${(@P)3}"; }
      eval "$(kdump-mem completion zsh)"
      words=("$@"); CURRENT=$#; _kdump_mem`.replaceAll('\\$', '$');
    return run('zsh', ['-f', '-c', script, 'zsh', ...line.split(/(?<!\\) /)]);
  },
};

/** The first column of a shell's output, one word per line, without descriptions. */
function run(shell: string, args: string[], more: NodeJS.ProcessEnv = {}): string[] {
  return execFileSync(shell, args, { env: { ...environment, ...more }, cwd: folder, encoding: 'utf8' })
    .split('\n')
    .map((each) => each.replace(/[\t:].*/, ''))
    .filter((each) => each !== '');
}

describe.each(Object.entries(SHELLS))('%s', (shell, completions) => {
  test.each([
    ['kdump-mem soc', ['sockets']],
    ['kdump-mem memory --sour', ['--source']],
    ['kdump-mem memory --source kc', ['kcore']],
    ['kdump-mem skb --vmcore a-vmcore --pid 123', ['123']],
    ['kdump-mem skb a-vmcore --pid 123', ['123']],
    ['kdump-mem skb --vmcore my\\ dump\\:1 --pid 123', ['123']],
    ['kdump-mem skb ~/a-vmcore --pid 123', ['123']],
    ['kdump-mem struct --vmcore a-vmcore sk_buff_f', ['sk_buff_fclones']],
    ['skcheck --capture-s', ['--capture-script']],
    ["kdump-mem sockets '$(touch ran)' --str", ['--strict']],
  ])('%s', (line, words) => {
    expect(completions(line)).toEqual(words);
    expect(readdirSync(folder)).not.toContain('ran');
  });

  test('a value after =', () => {
    expect(completions('kdump-mem memory --source=kc')).toEqual([shell === 'bash' ? 'kcore' : '--source=kcore']);
  });

  test('files where they are valid', () => {
    const files = shell === 'fish' ? ['a-vmcore'] : ['FILES'];
    expect(completions('kdump-mem sockets a-v')).toEqual(files);
    expect(completions('kdump-mem skb --vmcore a-v')).toEqual(files);
    expect(completions('kdump-mem explain hung-t')).toEqual(['hung-task']);
  });
});
