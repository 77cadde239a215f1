// Score of kdump-mem triage on public incidents, printed for scripts/bench-parts/incidents.
import { incidents, judgeIncidents, scoreTable } from './incidents.mjs';

const names = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const judged = await judgeIncidents(incidents().filter(({ name }) => names.length === 0 || names.includes(name)));
for (const { name, outcome, said, seconds, heldOut } of judged)
  if (names.length > 0 || (process.argv.includes('--all') && heldOut !== 'yes'))
    console.log(`${outcome.padEnd(12)} ${name} (${seconds.toFixed(2)} s)\n    ${said.slice(0, 400)}`);
const table = scoreTable(judged);
if (process.argv.includes('--markdown'))
  for (const [at, row] of table.entries())
    console.log(
      [`| ${row.join(' | ')} |`, ...(at === 0 ? [`| ${row.map(() => '---').join(' | ')} |`] : [])].join('\n'),
    );
else {
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  for (const row of table)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    );
  console.log(`slowest: ${Math.max(...judged.map(({ seconds }) => seconds)).toFixed(2)} s (aim: 1 s)`);
}
