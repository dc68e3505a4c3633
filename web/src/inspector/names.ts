/** Names of actors and events, short enough for a column. What they are in full stands with what is selected. */

const UUID = /\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g;
/** What XState calls an actor that is invoked by a state: `0.command.storing`. */
const INVOKED = /^\d+\.(?:[^.]+\.)*([^.]+)$/;

export const shortName = (name: string) => name.replace(UUID, '$1').replace(INVOKED, '$1');

export const shortEvent = (event: string) => event.replace(UUID, '$1');
