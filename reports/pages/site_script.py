"""What the site of all nights adds to the style and the script of a report's page."""

from __future__ import annotations

from reports.pages import html

STYLE = (
    html.STYLE
    + html.DARK
    + """
:root { --agrees: #0b6e4f; --fails: #b33a00; --open: #6b5900; }
@media (prefers-color-scheme: dark) {
  :root { --agrees: #5fd0a5; --fails: #ff9a5c; --open: #e3c94b; }
}
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.verdict { border-left: 0.5rem solid var(--open); padding: 0.1rem 1rem; background: var(--soft); }
.verdict.agrees { border-color: var(--agrees); } .verdict.fails { border-color: var(--fails); }
.verdict strong.word { display: block; font-size: 2.6rem; line-height: 1.2; }
.agrees .word { color: var(--agrees); } .fails .word { color: var(--fails); }
.open .word { color: var(--open); }
form.filters { display: flex; flex-wrap: wrap; gap: 0.4rem 1rem; padding: 0.5rem 0;
  position: sticky; top: 0; z-index: 2; background: var(--paper);
  border-bottom: 1px solid var(--line); }
select { font: inherit; max-width: 100%; color: var(--ink); background: var(--paper);
         border: 1px solid var(--line); border-radius: 4px; padding: 0.15rem 0.3rem; }
.legend { font-size: 0.86rem; }
.legend span { white-space: nowrap; } span.agrees { color: var(--accent); }
span.fails { color: var(--fails); }
#charts { display: grid; gap: 0.5rem 1.5rem;
          grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); }
#charts h3 { grid-column: 1 / -1; margin: 1rem 0 0; }
figure { margin: 0; min-width: 0; min-height: 15rem; }
figcaption { font-size: 0.86rem; min-height: 2.6em; }
.chart, .chart .vega-embed { width: 100%; }
tr[hidden] { display: none; }
td.fails { color: var(--fails); font-weight: 600; } td.open { color: var(--open); }
#vg-tooltip-element { font: 0.86rem/1.4 system-ui, sans-serif; color: var(--ink); max-width: 20rem;
  background: var(--paper); border: 1px solid var(--line); overflow-wrap: anywhere; }
#vg-tooltip-element td.key { color: var(--ink); opacity: 0.75; }
#vg-tooltip-element td { white-space: normal; border: 0; padding: 0 0.4rem 0 0; max-width: 13rem; }
@media (max-width: 760px) {
  form.filters { position: static; }
  #vg-tooltip-element { max-width: 9rem; }
  #vg-tooltip-element td, #vg-tooltip-element table tr td.key { display: block; text-align: left; }
  .nights thead { display: none; }
  .nights tr { display: block; padding: 0.5rem 0; border-bottom: 1px solid var(--line); }
  .nights td { display: block; border: 0; padding: 0; white-space: normal; min-width: 0;
               text-align: left !important; overflow-wrap: anywhere; }
  .nights td::before { content: attr(data-label) ": "; opacity: 0.75; }
  .nights td:empty { display: none; }
}
"""
)

SCRIPT = (
    html.SCRIPT
    + """
const data = JSON.parse(document.getElementById("data").textContent);
const charts = document.getElementById("charts");
const form = document.querySelector("form.filters");
const dark = matchMedia("(prefers-color-scheme: dark)");
const last = data.time.length - 1;
const when = time => new Date(time * 1000).toISOString().slice(0, 16).replace("T", " ");
const written = value => value === null ? "-" : value.toFixed(4);
let views = [];
let drawing = 0;

const options = { mode: "vega-lite", renderer: "svg", actions: false,
  ast: true, // Vega's expressions are interpreted: the page's policy forbids to evaluate text
  logLevel: 1, // errors; warnings tell of every chart without an event that it has none
  tooltip: { formatTooltip: (row, escape) => "<table>" + Object.entries(row.hover).map(
    ([name, value]) => `<tr><td class="key">${escape(name)}</td><td>${escape(value)}</td></tr>`
  ).join("") + "</table>" } };

function element(tag, text, parent) {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
}

// One row per night of a configuration that has a value, from the night with number `first` on.
function rowsOf(one, measure, first) {
  const [values, lows, highs] = one.values[measure];
  const events = time => data.events.filter(event => event.time === time);
  return one.night.flatMap((night, place) => {
    if (night < first || values[place] === null) return [];
    const alarms = (one.drifts[measure] ?? []).filter(alarm => alarm.nights.includes(night));
    const range = lows[place] === null ? ""
      : ` (${written(lows[place])} to ${written(highs[place])})`;
    const hover = { night: `${when(data.time[night])} UTC`,
      [data.measures[measure]]: written(values[place]) + range, verdict: data.verdict[night],
      seeds: one.seeds[place], commit: data.commit[night], torch: data.torch[night],
      device: data.device[night] };
    const said = events(data.time[night]).map(event => event.label);
    said.push(...alarms.map(alarm => alarm.text));
    if (said.length) hover.event = said.join("; ");
    return [{ night: data.time[night] * 1000, value: values[place], low: lows[place],
      high: highs[place], kind: data.kind[night], drift: alarms.length > 0, hover,
      text: Object.entries(hover).map(([name, value]) => `${name}: ${value}`).join(", ") }];
  });
}

function specificationOf(one, measure, first, rows) {
  const start = data.time[first] * 1000;
  const end = Math.max(data.time[last] * 1000, start + 86400000);
  const margin = (end - start) / 60;
  const bounds = [{ night: start - margin }, { night: end + margin }];
  const events = data.events.map(event => ({ ...event, night: event.time * 1000 }))
    .filter(event => event.night > start)
    .map(event => ({ ...event, late: event.night > (start + end) / 2 }));
  const baselines = one.baselines[measure]
    .map(([since, until, low, value, high]) => (
      { night: Math.max(since * 1000, start), until: until * 1000, low, value, high }))
    .filter(band => band.until > band.night);
  return { ...data.chart,
    description: `${one.model} ${one.backend}: ${data.measures[measure]}, ${rows.length} nights`,
    datasets: { bounds, nights: rows, events, baselines, drifts: rows.filter(row => row.drift) } };
}

// The arrow keys move from night to night of a figure that has the focus.
function readable(figure, said, rows) {
  const latest = rows.at(-1);
  let place = rows.length - 1;
  figure.tabIndex = 0;
  figure.addEventListener("keydown", event => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    place = Math.min(rows.length - 1, Math.max(0, place + step));
    said.textContent = rows[place].text;
  });
  const alarm = latest.drift ? `; ${latest.hover.event}` : "";
  said.textContent = `${written(latest.value)} on ${latest.hover.night.slice(0, 10)}${alarm}`;
}

async function draw() {
  const own = ++drawing;
  const { model, measure, nights } = Object.fromEntries(new FormData(form));
  const first = nights === "all" ? 0 : Math.max(0, last + 1 - Number(nights));
  document.querySelectorAll(".nights tbody tr").forEach(row => {
    row.hidden = Number(row.dataset.night) < first;
  });
  charts.ariaBusy = "true";
  views.forEach(view => view.finalize());
  views = [];
  charts.replaceChildren();
  const theme = dark.matches ? data.themes.dark : data.themes.light;
  let heading = null;
  const todo = [];
  for (const one of data.configurations) {
    if (!(model === "" || model === one.model) || !one.values[measure]) continue;
    const rows = rowsOf(one, measure, first);
    if (!rows.length) continue;
    if (heading !== one.model) element("h3", heading = one.model, charts);
    const figure = element("figure", "", charts);
    const caption = element("figcaption", "", figure);
    element("strong", `${one.model} ${one.backend}`, caption);
    caption.append(": ");
    const said = element("span", "", caption);
    said.ariaLive = "polite";
    readable(figure, said, rows);
    const place = element("div", "", figure);
    place.className = "chart";
    todo.push([place, specificationOf(one, measure, first, rows)]);
  }
  if (!todo.length) element("p", "No night has such values.", charts);
  for (const [place, specification] of todo) {
    await new Promise(done => setTimeout(done)); // the page stays usable meanwhile
    if (own !== drawing) return;
    views.push(await vegaEmbed(place, specification, { ...options, config: theme }));
  }
  charts.ariaBusy = "false";
}
form.addEventListener("change", draw);
form.addEventListener("submit", event => event.preventDefault());
dark.addEventListener("change", draw);
draw();
"""
)
