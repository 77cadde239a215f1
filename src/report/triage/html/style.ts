/** Rules of the page of `triage`, after those of all pages: edges have a contrast of 3, text of 4.5. */
export const TRIAGE_STYLE = `
:root { --warn: #8a5a00; --mark: #fff3bf; }
@media (prefers-color-scheme: dark) { :root { --warn: #e0b04b; --mark: #4a3d0a; } }
h3 { font-size: 1.05rem; margin: 0 0 .25rem; }
summary h3 { display: inline; }
.finding { border-left: .4rem solid var(--line); padding: .25rem 0 .25rem 1rem; margin: 1.25rem 0; }
.finding.critical { border-color: var(--alarm); }
.finding.warning { border-color: var(--warn); }
.finding.critical .severity { color: var(--alarm); }
.finding.warning .severity { color: var(--warn); }
.finding details { margin: .5rem 0; }
pre {
  font: .8rem/1.45 ui-monospace, 'DejaVu Sans Mono', monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  background: var(--soft); border: 1px solid var(--line); padding: .5rem; margin: .5rem 0;
}
mark { background: var(--mark); color: var(--text); }
dl { display: grid; grid-template-columns: fit-content(45%) 1fr; gap: .15rem 1rem; font-size: .9rem; margin: .5rem 0; }
dt { color: var(--faint); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
@media print {
  :root { --warn: #8a5a00; --mark: #fff3bf; }
  h2, h3 { break-after: avoid; }
  pre { font-size: 7pt; background: none; }
  mark { font-weight: bold; }
}
`;
