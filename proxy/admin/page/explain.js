// Ask what would become of a command: slot, shard, node, parts, or why it is refused.

import { byId, make } from "./dom.js";
import { cut, plain } from "./format.js";

const FATES = {
  forwarded: "Goes to one node",
  split: "Split, one part a slot",
  fanned_out: "Goes to several nodes",
  answered: "Answered by the proxy",
  in_session: "Kept by the client's session",
  across: "Run in several steps",
  asked: "A server is asked first",
  refused: "Refused",
};

export class Explain {
  /** @param feed Where to ask. */
  constructor(feed) {
    this.feed = feed;
    this.out = byId("explained");
    byId("explain-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = byId("explain-text").value.trim();
      if (text) this.#ask(text);
    });
  }

  async #ask(text) {
    try {
      this.#show(await this.feed.ask(`explain?q=${encodeURIComponent(text)}`));
    } catch (problem) {
      this.out.replaceChildren(make("p", { class: "bad" }, plain(problem.message)));
    }
  }

  #show(answer) {
    const facts = [["Command", answer.known ? answer.command : `${answer.command} (unknown to the servers)`]];
    if (answer.road) facts.push(["Road", answer.road]);
    if (answer.merge) facts.push(["Replies are merged as", answer.merge]);
    if (answer.guards.length) facts.push(["Guards", answer.guards.join("; ")]);
    facts.push(["In a transaction", answer.in_transaction]);
    const list = make("dl");
    for (const [name, value] of facts) list.append(make("dt", {}, name), make("dd", {}, plain(value)));
    this.out.replaceChildren(
      make("p", { class: answer.fate === "refused" ? "fate bad" : "fate" }, FATES[answer.fate] ?? answer.fate),
      make("p", {}, plain(answer.why)),
      ...(answer.refusal ? [make("p", { class: "mono bad" }, plain(answer.refusal))] : []),
      list,
      ...places("Keys", answer.keys, keyText),
      ...places("Parts", answer.parts, partText),
    );
  }
}

function places(title, items, text) {
  if (!items.length) return [];
  const list = make("ul", { class: "mono" });
  for (const item of items) list.append(make("li", {}, make("bdi", { dir: "ltr" }, text(item))));
  return [make("h3", {}, title), list];
}

function keyText(key) {
  const stored = key.stored === key.key ? "" : ` stored as ${cut(key.stored, 80)}`;
  const moving = key.moving_to ? `, moving to ${key.moving_to}` : "";
  return `${cut(key.key, 80)}${stored} → slot ${key.slot}, ${plain(key.node ?? "nobody has it")}${moving}`;
}

function partText(part) {
  const node = plain(part.node ?? (part.slot === null ? "any node" : "nobody has it"));
  const where = part.slot === null ? node : `slot ${part.slot}, ${node}`;
  return `${cut(part.args.join(" "), 120)} → ${where}`;
}
