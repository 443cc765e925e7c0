// Fold a flood of events into one line. Pure.
//
// A resharding tells of redirects every second, and of each slot by itself; what happened once
// must not be lost among them.

const NEAR_S = 3; // further apart, they are two stories

/**
 * Return runs of events of one kind about one node, in the order of their newest ones.
 *
 * What comes in between does not end a run: a resharding tells of many things by turns.
 *
 * @param events As `/events` has them, the oldest first.
 * @returns `[{first, newest, count}]`: two events, and how many things they stand for.
 */
export function fold(events) {
  const runs = [];
  const open = new Map(); // what makes events alike -> their latest run
  for (const event of events) {
    const key = `${event.kind} ${event.level} ${event.node}`;
    const run = open.get(key);
    if (run && event.at - run.newest.at <= NEAR_S) {
      run.newest = event;
      run.count += event.count;
    } else {
      const begun = { first: event, newest: event, count: event.count };
      open.set(key, begun);
      runs.push(begun);
    }
  }
  return runs.sort((one, other) => one.newest.number - other.newest.number);
}
