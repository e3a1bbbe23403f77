/* The drawing of lineage: nodes are laid out from left to right, and expand where they are asked to. */
"use strict";
(() => {
  const box = document.getElementById("graph");
  if (!box || typeof cytoscape === "undefined") return;
  const MOST = 2000;
  const say = (words) => { document.getElementById("drawn").textContent = words; };
  const chosen = document.getElementById("chosen");
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const began = performance.now();

  const cy = cytoscape({
    container: box,
    textureOnViewport: true,
    style: [
      { selector: "node", style: {
        label: "data(label)", color: colour("--ink"), "font-size": 11, "text-valign": "bottom", "text-margin-y": 4,
        "text-max-width": 140, "text-wrap": "ellipsis", "background-color": colour("--bar"), width: 26, height: 26,
        "min-zoomed-font-size": 6 } },
      { selector: "node[kind = 'event']", style: { shape: "diamond", width: 16, height: 16, "background-color": colour("--line-strong"),
        color: colour("--soft") } },
      { selector: "node[kind = 'column']", style: { shape: "round-rectangle" } },
      { selector: "node[?start]", style: { "border-width": 4, "border-color": colour("--focus") } },
      { selector: "node:selected", style: { "border-width": 3, "border-color": colour("--brand") } },
      { selector: "edge", style: { width: 1.5, "line-color": colour("--line-strong"), "target-arrow-color": colour("--line-strong"),
        "target-arrow-shape": "triangle", "curve-style": "haystack", "arrow-scale": 0.8 } },
      { selector: "edge[role = 'indirect']", style: { "line-style": "dashed" } },
    ],
  });

  const layOut = () => {
    const many = cy.nodes().length > 600;
    cy.edges().style("curve-style", many ? "straight" : "bezier");
    cy.layout({ name: "dagre", rankDir: "LR", nodeSep: 18, rankSep: 90, ranker: many ? "longest-path" : "network-simplex",
      animate: false, fit: true, padding: 20 }).run();
  };

  const fetched = async (address) => {
    const answer = await fetch(address, { headers: { Accept: "application/json", "HX-Request": "true" } });
    if (answer.status === 401) { location.assign("/signin"); return null; }
    if (!answer.ok) { say(`It could not be read (${answer.status}).`); return null; }
    return answer.json();
  };

  const put = (told) => {
    const room = MOST - cy.nodes().length;
    const fresh = told.nodes.filter((node) => cy.getElementById(node.id).empty()).slice(0, room);
    cy.add(fresh.map((node) => ({ group: "nodes", data: node })));
    const known = (id) => cy.getElementById(id).nonempty();
    cy.add(told.edges.filter((edge) => !known(edge.id) && known(edge.source) && known(edge.target))
      .map((edge) => ({ group: "edges", data: edge })));
    return { added: fresh.length, full: fresh.length === room };
  };

  const count = () => `${cy.nodes().length} nodes, ${cy.edges().length} links`;

  const expand = async (node) => {
    if (!node.data("asset")) return;
    const column = node.data("column");
    const asked = new URLSearchParams({ of: node.data("asset"), depth: "1" });
    if (column) asked.set("column", column);
    const told = await fetched(`/lineage/graph?${asked}`);
    if (!told) return;
    const { added, full } = put(told);
    if (added) layOut();
    say(full ? `${count()}: as many as can be drawn.` : `${count()}, ${added} of them new.`);
  };

  const open = (node) => { if (node.data("asset")) location.assign(`/assets/${encodeURIComponent(node.data("asset"))}`); };
  cy.on("tap", "node", (event) => { chosen.textContent = event.target.data("name"); expand(event.target); });
  cy.on("dbltap", "node", (event) => open(event.target));

  const step = (towards) => {
    const here = cy.$("node:selected").first();
    const next = here.empty() ? cy.nodes("[?start]").first() : towards(here);
    if (next.empty()) return;
    cy.$(":selected").unselect();
    next.select();
    cy.center(next);
    chosen.textContent = next.data("name");
  };
  const beside = (node, way) => {
    const near = cy.nodes().filter((other) => Math.abs(other.position("x") - node.position("x")) < 5 &&
      Math.sign(other.position("y") - node.position("y")) === way);
    return near.sort((one, other) => way * (one.position("y") - other.position("y"))).first();
  };
  const keys = {
    ArrowRight: () => step((node) => node.outgoers("node").first()),
    ArrowLeft: () => step((node) => node.incomers("node").first()),
    ArrowDown: () => step((node) => beside(node, 1)),
    ArrowUp: () => step((node) => beside(node, -1)),
    Enter: () => cy.$("node:selected").forEach(expand),
    " ": () => cy.$("node:selected").forEach(open),
  };
  box.addEventListener("keydown", (event) => {
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.getElementById("fit").addEventListener("click", () => cy.fit(undefined, 20));
  document.getElementById("nearer").addEventListener("click", () => cy.zoom(cy.zoom() * 1.3));
  document.getElementById("farther").addEventListener("click", () => cy.zoom(cy.zoom() / 1.3));

  const told = JSON.parse(document.getElementById("elements").textContent);
  put(told);
  layOut();
  cy.once("render", () => {
    box.dataset.drawnMs = String(Math.round(performance.now() - began));
    say(`${count()}${told.cut ? ", and there is more" : ""}.`);
  });
  cy.forceRender();
})();
