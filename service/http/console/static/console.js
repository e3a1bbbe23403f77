/* What makes the pages live. They work without it. */
"use strict";
(() => {
  const found = (id) => document.getElementById(id);

  /* Moments in the reader's own zone, with UTC beside the pointer. */
  const localTimes = (within) => {
    for (const time of within.querySelectorAll("time[datetime]:not([title])")) {
      time.title = time.textContent;
      time.textContent = new Date(time.dateTime).toLocaleString();
    }
  };

  /* The curve: what the overview told since the page was opened, half an hour at most. */
  const POINTS = 900;
  const told = [[], [], []];
  let plot = null;
  const drawn = () => {
    const box = found("chart");
    const now = found("now");
    if (!box || !now || typeof uPlot === "undefined") return;
    const at = Number(now.dataset.at);
    if (told[0].at(-1) === at) return;
    told[0].push(at);
    told[1].push(Number(now.dataset.events));
    told[2].push(Number(now.dataset.deliveries));
    if (told[0].length > POINTS) told.forEach((values) => values.shift());
    const words = found("chart-words");
    words.textContent = `Now ${told[1].at(-1)} events and ${told[2].at(-1)} deliveries a second.`;
    if (plot === null) {
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(name).trim();
      const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line") }, ticks: { stroke: colour("--line") } };
      box.hidden = false;
      plot = new uPlot({
        width: box.clientWidth, height: 180, legend: { show: true },
        axes: [axis, { ...axis, size: 60 }],
        scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
        series: [{}, { label: "events/s", stroke: colour("--brand"), width: 2 },
          { label: "deliveries/s", stroke: colour("--good"), width: 2, dash: [6, 4] }],
      }, told, box);
      addEventListener("resize", () => plot.setSize({ width: box.clientWidth, height: 180 }));
    } else {
      plot.setData(told);
    }
  };

  const live = (words, stale) => {
    const state = found("live-state");
    if (state && state.textContent !== words) state.textContent = words;
    found("overview")?.classList.toggle("stale-live", stale);
  };

  document.addEventListener("htmx:sse:after:message", () => { live("Live.", false); localTimes(document); drawn(); });
  for (const name of ["htmx:sse:error", "htmx:sse:close"]) {
    document.addEventListener(name, () => live("The service does not answer; this is tried again.", true));
  }
  localTimes(document);
  drawn();
})();
