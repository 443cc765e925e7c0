// What is shown only to those who have the token, and where they give it.

import { byId, mark, say } from "./dom.js";
import { plain } from "./format.js";

export class Lock {
  /**
   * @param feed What is unlocked.
   * @param places View name -> id of the element that says why the view is empty.
   */
  constructor(feed, places) {
    this.feed = feed;
    this.places = places;
    this.locked = new Set();
    this.dialog = byId("token-dialog");
    this.wasAsked = false;
    byId("unlock").addEventListener("click", () => this.dialog.showModal());
    byId("token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const token = byId("token").value.trim();
      byId("token").value = "";
      this.dialog.close();
      this.wasAsked = false;
      feed.unlock(token);
    });
    byId("token-cancel").addEventListener("click", () => this.dialog.close());
  }

  /** Note that a view was refused (a Refused), or is shown again (null). */
  note(name, refusal) {
    if (refusal && name in this.places) say(byId(this.places[name]), plain(refusal.message));
    if (refusal?.status === 401) this.locked.add(name);
    else this.locked.delete(name);
    mark(byId("locked"), "hidden", this.locked.size ? null : "");
    if (!this.locked.size && this.dialog.open) this.dialog.close();
    if (!this.locked.size || this.wasAsked) return;
    // Asked for once; who says no keeps what is shown to everybody, and the banner.
    this.wasAsked = true;
    say(byId("token-why"), this.feed.hasToken ? "That token was not the right one." : "");
    if (!this.dialog.open) this.dialog.showModal();
  }
}
