/**
 * Look-ups that come close together are made by one statement: what comes while some are under way makes the next one.
 * A statement costs both sides more than a row of it.
 */

/** How many statements are under way at once: while PostgreSQL works on one, we read the rows of the other. */
const UNDER_WAY = 2;
/** Most keys of one statement. */
const KEYS_MAX = 64;

/** Makes a look-up by key out of one by many keys. What it gives for a key is from after it was asked for. */
export function gathered<Value>(
  select: (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>,
): (key: string) => Promise<Value | null> {
  const waiting = new Map<string, PromiseWithResolvers<Value | null>>();
  let underWay = 0;
  let immediate: NodeJS.Immediate | undefined;

  const lookUpSoon = () => {
    if (immediate !== undefined || underWay === UNDER_WAY || waiting.size === 0) return;
    // After the events of this turn, so that requests which came together are looked up together.
    immediate = setImmediate(() => {
      immediate = undefined;
      void lookUp();
    });
  };
  const lookUp = async () => {
    const taken = [...waiting].slice(0, KEYS_MAX);
    for (const [key] of taken) waiting.delete(key);
    underWay++;
    try {
      lookUpSoon();
      const found = await select(taken.map(([key]) => key));
      for (const [key, { resolve }] of taken) resolve(found.get(key) ?? null);
    } catch (error) {
      for (const [, { reject }] of taken) reject(error);
    }
    underWay--;
    lookUpSoon();
  };
  return (key) => {
    let entry = waiting.get(key);
    if (entry === undefined) {
      entry = Promise.withResolvers();
      waiting.set(key, entry);
      lookUpSoon();
    }
    return entry.promise;
  };
}
