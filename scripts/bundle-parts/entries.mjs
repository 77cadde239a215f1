import { existsSync, readdirSync } from 'node:fs';

const APP = 'src/app';

/** kdump-mem's commands: each has a folder of src/app, whose command.ts exports register<Name>. */
export const SUBCOMMANDS = readdirSync(APP)
  .filter((name) => existsSync(`${APP}/${name}/command.ts`))
  .toSorted();

/** The entry point of a program for esbuild: skcheck, or kdump-mem with some of its commands. */
export function entryOf(command, subcommands = SUBCOMMANDS) {
  if (command !== 'kdump-mem') return { entryPoints: [`${APP}/${command}.ts`] };
  const imports = subcommands.map((name) => `import { ${registrar(name)} } from './${name}/command.js';`);
  const contents = [
    "import { main } from './kdump-mem.js';",
    ...imports,
    `void main(${subcommands.map(registrar).join(', ')});`,
  ].join('\n');
  return { stdin: { contents, resolveDir: APP, sourcefile: 'entry.ts', loader: 'ts' } };
}

/** Both commands in one program, which runs as the name it is called by. */
export function bothCommands() {
  const { stdin } = entryOf('kdump-mem');
  const contents = [
    "import { basename } from 'node:path';",
    ...stdin.contents.split('\n').slice(0, -1),
    "if (basename(process.argv0) === 'skcheck') void import('./skcheck.js');",
    `else ${stdin.contents.split('\n').at(-1)}`,
  ].join('\n');
  return { stdin: { ...stdin, contents } };
}

/**
 * Returns the lines of src/app/completion/generated.ts: functions that register every command except `completion` and
 * `mcp`, which offer the others.
 */
export function allCommandsSource() {
  const offered = SUBCOMMANDS.filter((name) => !['completion', 'mcp'].includes(name));
  return [
    ...offered.map((name) => `import { ${registrar(name)} } from '../${name}/command.js';`),
    `export const ALL_COMMANDS = [${offered.map(registrar).join(', ')}];`,
  ];
}

/** registerSkb for skb, registerTopTalkers for top-talkers. */
function registrar(name) {
  return `register-${name}`.replaceAll(/-(.)/g, (_, letter) => letter.toUpperCase());
}
