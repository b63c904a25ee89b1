// Draws every card of `window.CARDS` as Slack and Teams would, at the width of a phone and of a window.
// `#dark` draws in the dark. `window.findings()` tells what is cut, sticks out or lies over something else.
import { createRoot } from "react-dom/client";
import { flushSync } from "react-dom";
import { Message } from "slack-blocks-to-jsx";
import { AdaptiveCard, HostConfig, SerializationContext } from "adaptivecards/dist/adaptivecards.js";

const theme = location.hash === "#dark" ? "dark" : "light";
const WIDTHS = [360, 700];
const TIME = new Date(2026, 10, 21, 23, 56);

function box(parent, tag, className, text) {
  const made = document.createElement(tag);
  made.className = className ?? "";
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

const undrawn = new Set();

function Table({ rows, column_settings: columns }) {
  const said = (cell) =>
    cell.type === "raw_text"
      ? cell.text
      : cell.elements[0].elements.map(({ text, style }, at) => (style?.bold ? <b key={at}>{text}</b> : text));
  return (
    <table>
      <tbody>
        {rows.map((row, line) => (
          <tr key={line}>
            {row.map((cell, at) => (
              <td key={at} style={{ textAlign: columns[at].align, fontWeight: line ? 400 : 700 }}>
                {said(cell)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function drawSlack(place, blocks) {
  const root = createRoot(place);
  // The package reads markup in a table's cells, where Slack reads none.
  const one = (block) =>
    block.type === "table" ? <Table {...block} /> : <Message blocks={[block]} theme={theme} withoutWrapper />;
  flushSync(() =>
    root.render(
      <div data-theme={theme} className="slack-message">
        <div className="logo" />
        <div className="blocks">
          <b>Celonis</b> <small>23:56</small>
          {blocks.map((block, at) => (
            <div key={at} data-block={block.type}>
              {one(block)}
            </div>
          ))}
        </div>
      </div>,
    ),
  );
  for (const each of place.querySelectorAll("[data-block]"))
    if (!each.textContent.trim() && !each.querySelector("svg")) undrawn.add(`Slack: ${each.dataset.block}`);
}

function drawTeams(place, card) {
  const drawn = new AdaptiveCard();
  drawn.hostConfig = new HostConfig(window.HOSTS[theme]);
  const context = new SerializationContext();
  drawn.parse(card, context);
  place.append(drawn.render());
  for (let at = 0; at < context.eventCount; at += 1) {
    const said = context.getEventAt(at).message;
    const known = said.includes('"lang"') || said.includes("Chart."); // it takes no language at all, and shows fallbacks
    if (!known) undrawn.add(`Teams: ${said}`);
  }
  for (const text of texts(card.body))
    if (!place.textContent.includes(text)) undrawn.add(`Teams does not show: ${text}`);
}

function* texts(part) {
  if (part?.type === "TextRun") yield part.text;
  else if (part && typeof part === "object") for (const each of Object.values(part)) yield* texts(each);
}

document.body.className = theme;
for (const [name, { slack, teams }] of Object.entries(window.CARDS)) {
  const section = box(document.body, "section");
  section.id = name;
  box(section, "h2", "", name);
  for (const [platform, draw, what] of [
    ["slack", drawSlack, slack],
    ["teams", drawTeams, teams],
  ]) {
    if (platform === "teams" && !window.HOSTS) continue;
    const row = box(section, "div", "row");
    for (const width of WIDTHS) {
      const figure = box(row, "figure", platform);
      figure.style.width = `${width}px`;
      draw(figure, what);
    }
  }
  const details = box(section, "details");
  box(details, "summary", "", "terminal");
  for (const [width, lines] of Object.entries(window.CARDS[name].terminal)) {
    box(details, "h3", "", `${width} columns`);
    box(details, "pre", "", lines);
  }
}

const shown = (element) => element.getClientRects().length && getComputedStyle(element).visibility !== "hidden";

const LONGER_THAN_A_SCREEN = /[^\s-]{31}/;

function findingsIn(figure) {
  const found = [];
  const edge = figure.getBoundingClientRect();
  const leaves = [];
  for (const element of figure.querySelectorAll("*")) {
    if (!shown(element) || element.closest("svg")) continue;
    const text = element.textContent.trim().slice(0, 60);
    if (LONGER_THAN_A_SCREEN.test(element.textContent)) continue;
    const style = getComputedStyle(element);
    const cuts = style.overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1;
    const hidden = style.overflowY === "hidden" && element.scrollHeight > element.clientHeight + 2;
    if (element.clientWidth && cuts) found.push(`wider than its place: ${text}`);
    if (element.clientHeight > 4 && hidden) found.push(`higher than its place: ${text}`);
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!own && element.tagName !== "BUTTON") continue;
    for (const rect of element.getClientRects()) {
      if (rect.right > edge.right + 1) found.push(`sticks out: ${text}`);
      leaves.push([element, rect, text]);
    }
  }
  for (const [at, [element, rect, text]] of leaves.entries())
    for (const [other, next, words] of leaves.slice(at + 1)) {
      if (element.contains(other) || other.contains(element)) continue;
      const wide = Math.min(rect.right, next.right) - Math.max(rect.left, next.left);
      const high = Math.min(rect.bottom, next.bottom) - Math.max(rect.top, next.top);
      if (wide > 2 && high > 5) found.push(`over one another: ${text} | ${words}`);
    }
  return [...new Set(found)];
}

window.findings = () => {
  const all = [...undrawn];
  for (const section of document.querySelectorAll("section"))
    for (const figure of section.querySelectorAll("figure"))
      for (const finding of findingsIn(figure))
        all.push(`${section.id}, ${figure.className} at ${figure.style.width}: ${finding}`);
  return all;
};
