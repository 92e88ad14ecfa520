"""The style sheet of a report: light, dark, on a phone and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fdfcfa; --panel: #faf9f6; --ink: #26282b; --quiet: #6a6f76;
  --line: #e2dfd8; --accent: #2c6e91; --good: #1f7a5c; --bad: #b4472f;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua",
    "URW Palladio L", P052, Charter, Georgia, serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
    sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #17191c; --panel: #1f2226; --ink: #e4e2dd; --quiet: #9a9fa6;
    --line: #33373d; --accent: #7fb6d3; --good: #62c4a0; --bad: #ec8b73;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 var(--serif); overflow-wrap: break-word;
}
main { max-width: 70rem; margin: 0 auto; padding: 4.5rem 2rem 6rem; }
h1, h2, h3 { font-weight: 600; line-height: 1.2; text-wrap: balance; }
h1 { font-size: 2.5rem; letter-spacing: -0.015em; margin: 0; }
h2 { font-size: 1.6rem; margin: 0 0 1rem; }
h3 { font-size: 1.1rem; margin: 2.25rem 0 0.6rem; }
p { margin: 0 0 1rem; max-width: 42rem; text-wrap: pretty; }
.subtitle { margin: 0.75rem 0 0; font-size: 1.2rem; color: var(--quiet); }
section { margin-top: 4rem; padding-top: 2.25rem; border-top: 1px solid var(--line); }
.cards {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr));
  gap: 1rem; margin-top: 2.75rem;
}
.card {
  background: var(--panel); border: 1px solid var(--line); border-radius: 0.5rem;
  padding: 1rem 1.15rem 1.05rem; border-top: 3px solid var(--line);
}
.card.good { border-top-color: var(--good); }
.card.bad { border-top-color: var(--bad); }
.label, .note, .facts, nav, table, figcaption { font-family: var(--sans); }
.label {
  display: flex; justify-content: space-between; gap: 0.5rem;
  font-size: 0.85rem; color: var(--quiet);
}
.good .mark { color: var(--good); }
.bad .mark { color: var(--bad); }
.value {
  font-size: 2rem; line-height: 1.25; margin-top: 0.2rem;
  font-variant-numeric: lining-nums tabular-nums;
}
.note { font-size: 0.8rem; line-height: 1.4; color: var(--quiet); margin-top: 0.25rem; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr));
  gap: 0.9rem 2rem; margin: 2.75rem 0 0; font-size: 0.9rem; line-height: 1.4;
}
.facts dt { color: var(--quiet); font-size: 0.8rem; }
.facts dd { margin: 0.1rem 0 0; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: 0.3rem 1.5rem; margin-top: 2.75rem; }
nav a { font-size: 0.9rem; color: var(--accent); text-underline-offset: 0.2em; }
figure { margin: 2rem 0; }
figure img {
  display: block; max-width: 100%; height: auto; border-radius: 0.4rem;
  background: #faf9f6; border: 1px solid var(--line);
}
.pairs {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr));
  gap: 2rem; margin: 2rem 0;
}
.pairs figure { margin: 0; }
.pairs img { width: 100%; }
figcaption {
  font-size: 0.875rem; line-height: 1.5; color: var(--quiet); max-width: 42rem;
}
img + figcaption { margin-top: 0.7rem; }
figcaption strong { color: var(--ink); font-weight: 600; }
.table { margin-top: 0.7rem; overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; line-height: 1.4; }
th, td { text-align: left; padding: 0.5rem 1.1rem; vertical-align: baseline; }
th:first-child, td:first-child { padding-left: 0.2rem; }
th { font-weight: 600; border-bottom: 1px solid var(--quiet); white-space: nowrap; }
td { border-bottom: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: lining-nums tabular-nums; }
td.number { white-space: nowrap; }
pre {
  font: 0.85rem/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono",
    monospace;
  background: var(--panel); border: 1px solid var(--line); border-radius: 0.4rem;
  margin: 1rem 0; padding: 0.9rem 1.1rem; white-space: pre-wrap; overflow-x: auto;
}
code { font: inherit; }
code span { white-space: nowrap; }
@media (max-width: 40rem) {
  main { padding: 2.25rem 1.1rem 4rem; }
  h1 { font-size: 1.9rem; }
  h2 { font-size: 1.4rem; }
  .subtitle { font-size: 1.05rem; }
  section { margin-top: 2.75rem; padding-top: 1.75rem; }
  .cards { grid-template-columns: repeat(2, 1fr); gap: 0.7rem; }
  .card { padding: 0.8rem 0.9rem 0.85rem; }
  .value { font-size: 1.55rem; }
  .facts { grid-template-columns: repeat(2, 1fr); gap: 0.9rem 1.2rem; }
  th, td { padding: 0.45rem 0.65rem; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --panel: #fff; --ink: #000; --quiet: #444; --line: #bbb;
    --accent: #000; --good: #1f7a5c; --bad: #b4472f;
  }
  @page { margin: 18mm 16mm; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  nav { display: none; }
  .pairs { grid-template-columns: 1fr 1fr; gap: 1rem; }
  section { margin-top: 1.5rem; padding-top: 1rem; }
  h2, h3 { break-after: avoid; }
  img, .card, .facts div, tr, pre { break-inside: avoid; }
  figcaption { break-after: avoid; }
  img + figcaption { break-before: avoid; break-after: auto; }
  .table { overflow: visible; }
}
"""
