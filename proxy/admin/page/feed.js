// Ask the proxy for its views, again and again, and know how that goes.
//
// Strategy: each view has a pace of its own and at most one question in flight. What is said of
// the connection is one of four states: "starting", "live", "silent" (no answer, the first view
// is asked again every second) and "paused" (nobody looks at the page, or the reader wants it to
// stand still). A view that is refused for want of a token is told apart: the others go on.
// Cost: a page that is hidden asks nothing.

const PATIENCE_MS = 4000; // an answer that takes longer is none
const RETRY_MS = 1000;
const REFUSED_PAUSE_MS = 10000; // a view that this proxy does not have, or not show
const TOKEN_KEY = "slotway-token";

/** The proxy answered, but not with what was asked for. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class Feed {
  /**
   * @param views `[{name, everyMs, path: () => string}]`; the first is the one that is asked
   *   while the proxy is silent.
   * @param onView Called with a view's name and its JSON.
   * @param onState Called with the state when it has changed.
   * @param onRefused Called with a view's name and a Refused; with null when it is shown again.
   */
  constructor({ views, onView, onState, onRefused }) {
    Object.assign(this, { onView, onState, onRefused });
    this.state = "starting";
    this.isHeld = false;
    this.silentSince = null; // unix time, seconds
    this.views = views.map((view) => ({ ...view, timer: null, isAsking: false, isRefused: false }));
    document.addEventListener("visibilitychange", () => this.#look());
  }

  /** Begin to ask; returns at once. */
  start() {
    this.#look();
  }

  /** Ask nothing more, or go on, because the reader says so. */
  hold(isHeld) {
    this.isHeld = isHeld;
    this.#look();
  }

  /** Use this token from now on, in this tab only. */
  unlock(token) {
    sessionStorage.setItem(TOKEN_KEY, token);
    this.#look();
  }

  /** Whether a token has been given. */
  get hasToken() {
    return sessionStorage.getItem(TOKEN_KEY) !== null;
  }

  /**
   * Ask for something once; resolves to its JSON.
   *
   * Rejects with Refused, or with what fetch rejects with when nobody answers.
   */
  async ask(path) {
    const headers = { Accept: "application/json" };
    const token = sessionStorage.getItem(TOKEN_KEY);
    if (token) headers.Authorization = `Bearer ${token}`;
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(path, { headers, signal, cache: "no-store" });
    if (!response.ok) throw new Refused(response.status, await reasonIn(response));
    return response.json();
  }

  #look() {
    if (document.hidden || this.isHeld) {
      for (const view of this.views) clearTimeout(view.timer);
      this.#enter("paused");
    } else {
      if (this.state === "paused") this.#enter("starting");
      this.#askAll();
    }
  }

  #askAll() {
    for (const view of this.views) this.#askIn(view, 0);
  }

  #askIn(view, ms) {
    clearTimeout(view.timer);
    view.timer = setTimeout(() => this.#ask(view), ms);
  }

  async #ask(view) {
    if (view.isAsking) return;
    view.isAsking = true;
    let pauseMs = view.everyMs;
    try {
      const answer = await this.ask(view.path());
      this.#answered();
      this.#refused(view, null);
      this.#show(view, answer);
    } catch (problem) {
      pauseMs = this.#failed(view, problem);
    } finally {
      view.isAsking = false;
    }
    // While the proxy is silent, one view asks for all of them.
    if (this.state === "live" || (this.state !== "paused" && view === this.views[0])) {
      this.#askIn(view, pauseMs);
    }
  }

  // What one view cannot show must not keep the others from being asked.
  #show(view, answer) {
    try {
      this.onView(view.name, answer);
    } catch (problem) {
      reportError(problem);
    }
  }

  #answered() {
    this.silentSince = null;
    const wasAway = this.state === "silent";
    if (this.state !== "paused") this.#enter("live");
    if (wasAway) this.#askAll();
  }

  #failed(view, problem) {
    if (problem instanceof Refused) {
      this.#answered();
      this.#refused(view, problem);
      return REFUSED_PAUSE_MS;
    }
    if (!isNoAnswer(problem)) throw problem;
    this.silentSince ??= Date.now() / 1000;
    if (this.state !== "paused") this.#enter("silent");
    return RETRY_MS;
  }

  #refused(view, refusal) {
    if (refusal || view.isRefused) this.onRefused(view.name, refusal);
    view.isRefused = refusal !== null;
  }

  #enter(state) {
    if (state === this.state) return;
    this.state = state;
    this.onState(state);
  }
}

// fetch says TypeError when nobody listens, SyntaxError stands for an answer cut off in the middle.
function isNoAnswer(problem) {
  const names = ["TypeError", "AbortError", "TimeoutError", "NetworkError", "SyntaxError"];
  return names.includes(problem.name);
}

async function reasonIn(response) {
  const text = (await response.text()).slice(0, 300);
  try {
    return String(JSON.parse(text).error);
  } catch {
    return `HTTP ${response.status}`;
  }
}
