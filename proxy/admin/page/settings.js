// The settings: what each is, where it comes from, and what it does. Secrets come hidden.

import { byId } from "./dom.js";
import { plain } from "./format.js";
import { Table } from "./table.js";

export class SettingsTable {
  constructor() {
    this.table = new Table("settings", {
      caption: "Settings",
      keyOf: (row) => row.key,
      nothing: "The settings have not come yet.",
      columns: [
        { label: "Setting", kind: "mono", text: (row) => plain(row.key), sort: (row) => row.key },
        { label: "Value", kind: "key", text: (row) => plain(row.value) || "(empty)" },
        { label: "From", text: (row) => plain(row.source), sort: (row) => row.source },
        {
          label: "Changes",
          text: (row) => (row.live ? "live" : "with a restart"),
          sort: (row) => Number(row.live),
        },
        { label: "What it is", kind: "words", text: (row) => plain(row.text) },
      ],
    });
    byId("settings-filter").addEventListener("input", () => this.#filter());
    byId("settings-changed").addEventListener("change", () => this.#filter());
  }

  /** Show the answer of `/config`. */
  show(config) {
    byId("settings-file").textContent = config.file ? `from ${plain(config.file)}` : "no file";
    this.table.show(config.settings);
  }

  #filter() {
    const wanted = byId("settings-filter").value.trim().toLowerCase();
    const onlyChanged = byId("settings-changed").checked;
    this.table.filter = (row) =>
      (!onlyChanged || row.source !== "default") && `${row.key} ${row.text}`.toLowerCase().includes(wanted);
    this.table.show();
  }
}
