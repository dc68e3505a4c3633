/** Looks up once what many ask for at the same time: two hundred followers of one command wake up together. */

/**
 * Makes one look-up of all that are asked for with the same key in one turn of the event loop. What it gives is from after
 * each of them has asked: it begins when the turn is over.
 */
export function shared<Query, Value>(
  keyOf: (query: Query) => string,
  lookUp: (query: Query) => Promise<Value>,
): (query: Query) => Promise<Value> {
  const asked = new Map<string, Promise<Value>>();
  return (query) => {
    const key = keyOf(query);
    let answer = asked.get(key);
    if (answer === undefined) {
      answer = new Promise((resolve) =>
        setImmediate(() => {
          asked.delete(key);
          resolve(lookUp(query));
        }),
      );
      asked.set(key, answer);
    }
    return answer;
  };
}
