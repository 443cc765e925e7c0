// What `slotway cluster health` finds: the verdict, and what is wrong, problems first.

import { byId, keep, make, mark, say } from "./dom.js";
import { age, plain } from "./format.js";

const TONES = { healthy: "good", warning: "warn", unhealthy: "bad" };

export class Checkup {
  /** Show the answer of `/cluster-health`. */
  show({ at, health }) {
    const pill = byId("cluster-health");
    if (health === null) {
      say(pill, "being checked");
      mark(pill, "class", "pill calm");
      return;
    }
    say(pill, health.status);
    mark(pill, "class", `pill ${TONES[health.status]}`);
    const checked = `${plain(String(health.nodes))} nodes answered ${age(Date.now() / 1000 - at)} ago`;
    say(byId("cluster-checked"), `${checked}; ${survival(health)}`);
    keep(
      byId("findings"),
      health.findings,
      (finding, index) => `${finding.code} ${finding.node} ${index}`,
      () => make("li", {}, make("b", { class: "health" }), make("span")),
      (item, finding) => {
        const isProblem = finding.severity === "problem";
        say(item.children[0], isProblem ? "problem" : "warning");
        mark(item.children[0], "class", `health ${isProblem ? "bad" : "warn"}`);
        say(item.children[1], plain(finding.node ? `${finding.node} ${finding.words}` : finding.words));
        mark(item, "title", plain(finding.code));
      },
    );
  }
}

function survival({ survives_any_node: node, survives_any_host: host }) {
  if (node && host) return "would survive the loss of any one node or host";
  if (node) return "would survive the loss of any one node, not of any host";
  return "would not survive the loss of any one node";
}
