import type { Event } from "../../history/events.js";
import type { Episode } from "./episode.js";
import { judgement, type NotRun, type RowReport } from "./report.js";

const [width, height, left, top] = [900, 120, 40, 18];
const binMs = 250;
const mostFound = 100;
const lines = [
  { what: "accepted", color: "#2563eb", is: (event: Event) => event.e === "accepted" },
  { what: "started", color: "#16a34a", is: (event: Event) => event.e === "start" },
];

const text = (value: unknown) => String(value).replaceAll(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** A page without scripts: the table, and for each episode what was accepted and started while its fault came and went. */
export function pageOf(
  about: { readonly seed: number; readonly node: string; readonly redis: string },
  reports: readonly RowReport[],
  episodes: readonly Episode[],
  notRun: readonly NotRun[],
): string {
  const found = reports.flatMap(({ row, name, violations }) =>
    violations.map((one) => `<li>row ${row}, ${text(name)}: ${text(one)}`),
  );
  const rows = reports.map(
    (report) =>
      `<tr class="${judgement(report).split(" ")[0]!.replace(":", "")}"><td>${report.row}<td>${text(report.name)}${report.spool ? ", with a spool" : ""}` +
      `<td>${report.times}<td>${report.tasks}<td>${report.lost}<td>${text(
        Object.entries(report.duplicates)
          .map(([cause, count]) => `${count} ${cause}`)
          .join(", ") || 0,
      )}<td>${report.recoveryMs.p50} / ${report.recoveryMs.p95}<td>${text(judgement(report))}`,
  );
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Holdfast: faults, seed ${about.seed}</title>
<style>
body { font: 14px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto; padding: 0 1rem; color: #111; background: #fff }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top }
:is(td, th):is(:nth-child(3), :nth-child(4), :nth-child(5), :nth-child(7)) { text-align: right; white-space: nowrap } .FAILED td { background: #fee2e2 } .known td { background: #fef9c3 }
svg { display: block; max-width: 100%; height: auto } figcaption { font-weight: 600 } figure { margin: 1.5rem 0 }
</style>
<h1>Faults and what became of the tasks</h1>
<p>Seed ${about.seed}, Node ${text(about.node)}, Redis ${text(about.redis)}. Lines: tasks <span style="color:${lines[0]!.color}">accepted</span>
and <span style="color:${lines[1]!.color}">started</span> a second; the shade is the fault.</p>
<table><tr><th>row<th>fault<th>times<th>tasks<th>lost<th>run twice, and why<th>recovery p50 / p95 ms<th></tr>
${rows.join("\n")}
</table>
${found.length === 0 ? "" : `<details><summary>What the checker found (${found.length})</summary><ul>${found.slice(0, mostFound).join("")}</ul></details>`}
${notRun.map(({ row, name, reason }) => `<p>NOT RUN: row ${row}, ${text(name)}: ${text(reason)}</p>`).join("\n")}
${episodes.map(timeline).join("\n")}
</html>
`;
}

function timeline({ injected, history, seed, spool }: Episode): string {
  const { events } = history;
  const times = events.filter(({ e }) => e === "accepted" || e === "start").map(({ at }) => at);
  const fromMs = times.reduce((a, b) => Math.min(a, b), Infinity);
  const bins = Math.ceil((times.reduce((a, b) => Math.max(a, b), fromMs) - fromMs) / binMs) + 1;
  const x = (at: number) => left + (Math.max(0, (at - fromMs) / binMs) / bins) * (width - left);
  const counts = lines.map(({ is }) => {
    const perBin = Array.from({ length: bins }, () => 0);
    for (const event of events) if (is(event)) perBin[Math.floor((event.at - fromMs) / binMs)]! += 1000 / binMs;
    return perBin;
  });
  const most = Math.max(1, ...counts.flat());
  const y = (count: number) => top + height * (1 - count / most);
  const names = injected.map(({ row }) => row.name).join("; ");
  const shades = injected.map(
    ({ fromMs: from, healedMs, row }) =>
      `<rect x="${x(from).toFixed(1)}" y="${top}" width="${Math.max(2, x(healedMs) - x(from)).toFixed(1)}" height="${height}" fill="#fca5a5" opacity=".5"><title>${text(row.name)}</title></rect>`,
  );
  const curves = counts.map((perBin, n) => {
    const points = perBin.map((count, bin) => `${x(fromMs + bin * binMs).toFixed(1)},${y(count).toFixed(1)}`);
    return `<polyline fill="none" stroke="${lines[n]!.color}" stroke-width="1.5" points="${points.join(" ")}"/>`;
  });
  const seconds = Array.from({ length: Math.floor((bins * binMs) / 5_000) + 1 }, (_, n) => n * 5);
  const axis = seconds.map(
    (s) =>
      `<text x="${x(fromMs + s * 1_000).toFixed(1)}" y="${top + height + 14}" font-size="11" text-anchor="middle">${s} s</text>`,
  );
  return `<figure><figcaption>${text(names)}${spool ? ", with a spool" : ""}</figcaption>
<svg viewBox="0 0 ${width + 20} ${top + height + 20}" role="img" aria-label="accepted and started tasks a second, seed ${seed}">
<text x="0" y="${top + 10}" font-size="11">${Math.round(most)}/s</text><text x="0" y="${top + height}" font-size="11">0</text>
<line x1="${left}" y1="${top + height}" x2="${width}" y2="${top + height}" stroke="#bbb"/>${axis.join("")}${shades.join("")}${curves.join("")}
</svg></figure>`;
}
