/** Does something `count` times, with numbers from 0, by so many at once. */
export async function inTurn(atOnce: number, count: number, act: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}
