// Tables that can be sorted, filtered and read on a phone.
//
// Strategy: a table is described by its columns. Rows are kept by key, so the poll of every few
// seconds moves rows and changes texts, nothing else. On a narrow screen CSS turns each row into
// a card, for which every cell carries its column's name.

import { byId, keep, make, mark, say } from "./dom.js";
import { count } from "./format.js";

// Rows; more would be slow to draw and nobody reads them. All settings have to be among them.
const SHOWN = 200;

export class Table {
  /**
   * @param id Of the element that the table is put into.
   * @param caption What the table is, for those who cannot see the heading above it.
   * @param keyOf What tells rows apart.
   * @param columns `[{label, text: (row) => string, sort?, number?, kind?, fill?, hint?}]`:
   *   `sort(row)` makes the column sortable, `fill(cell, row)` replaces `text`.
   * @param sorted `[column index, descending]` to begin with; null for the order of the rows.
   * @param nothing What is said when there is no row.
   */
  constructor(id, { caption, keyOf, columns, sorted = null, nothing }) {
    Object.assign(this, { keyOf, columns, sorted, nothing, rows: [], filter: null });
    this.heads = columns.map((column, index) => this.#head(column, index));
    this.body = make("tbody");
    const table = make(
      "table",
      { role: "table" },
      make("caption", { class: "unseen" }, caption),
      make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...this.heads)),
      this.body,
    );
    mark(this.body, "role", "rowgroup");
    this.note = make("p", { class: "note" });
    const scroll = { class: "scroll tall", tabindex: "0", role: "region", "aria-label": caption };
    this.scroll = make("div", scroll, table);
    byId(id).append(this.scroll, this.note);
    this.#sortMarks();
  }

  /** Show these rows; without argument, the last ones anew. */
  show(rows = this.rows) {
    this.rows = rows;
    const wanted = this.filter ? rows.filter(this.filter) : rows;
    const sorted = this.#inOrder(wanted);
    keep(
      this.body,
      sorted.slice(0, SHOWN),
      this.keyOf,
      () => this.#row(),
      (row, item) => this.#fill(row, item),
    );
    mark(this.scroll, "hidden", wanted.length ? null : "");
    const more = wanted.length - SHOWN;
    if (!wanted.length) say(this.note, rows.length ? "None of them matches." : this.nothing);
    else say(this.note, more > 0 ? `${count(more)} more are not shown; sort or filter to see them.` : "");
  }

  #head(column, index) {
    const head = make("th", { scope: "col", role: "columnheader" });
    if (column.number) head.classList.add("number");
    if (column.hint) mark(head, "title", column.hint);
    if (!column.sort) {
      say(head, column.label);
      return head;
    }
    const button = make("button", { type: "button" }, column.label);
    button.addEventListener("click", () => {
      const isSame = this.sorted?.[0] === index;
      // Of numbers, the biggest are asked for first; of names, those from A on.
      this.sorted = [index, isSame ? !this.sorted[1] : Boolean(column.number)];
      this.#sortMarks();
      this.show();
    });
    head.append(button);
    return head;
  }

  #sortMarks() {
    this.heads.forEach((head, index) => {
      if (!this.columns[index].sort) return;
      const isSorted = this.sorted?.[0] === index;
      const order = this.sorted?.[1] ? "descending" : "ascending";
      mark(head, "aria-sort", isSorted ? order : "none");
    });
  }

  #inOrder(rows) {
    if (!this.sorted) return rows;
    const [index, isDescending] = this.sorted;
    const { sort } = this.columns[index];
    const sign = isDescending ? -1 : 1;
    return [...rows].sort((one, other) => sign * compare(sort(one), sort(other)));
  }

  #row() {
    const cells = this.columns.map((column, index) => {
      const role = index ? "cell" : "rowheader";
      const cell = make(index ? "td" : "th", { role, "data-label": column.label });
      if (!index) mark(cell, "scope", "row");
      if (column.number) cell.classList.add("number");
      if (column.kind) cell.classList.add(...column.kind.split(" "));
      return cell;
    });
    return make("tr", { role: "row" }, ...cells);
  }

  #fill(row, item) {
    this.columns.forEach((column, index) => {
      const cell = row.children[index];
      if (column.fill) column.fill(cell, item);
      else say(cell, column.text(item));
    });
  }
}

function compare(one, other) {
  if (typeof one === "string") return one.localeCompare(other, "en");
  return (one ?? -Infinity) - (other ?? -Infinity);
}
