-- Up Migration

ALTER TABLE commands
  -- How often it was begun anew after it had been lost.
  ADD COLUMN reruns smallint NOT NULL DEFAULT 0,
  -- Where the output of the run that is under way begins: behind that of those that were lost.
  ADD COLUMN output_base bigint NOT NULL DEFAULT 0,
  -- What people call the node that runs it, or ran it last. Null: none yet, or its server is no node.
  ADD COLUMN node text;

-- What no node has taken yet, by the kind of node that it wants: oldest first. Such commands have the owner 0.
CREATE INDEX commands_for_nodes ON commands (coalesce(options -> 'node' ->> 'label', ''), id)
  WHERE status = 'QUEUED' AND owner = 0;

-- Without those: there may be many, and whoever looks for what servers have shall not have to pass them.
DROP INDEX commands_live_owner;
CREATE INDEX commands_live_owner ON commands (owner) WHERE status IN ('QUEUED', 'EXECUTING') AND owner <> 0;

-- The plan of a trigger is kept for its session: one that was made for few commands is quadratic for many, and took half
-- a minute for ten thousand.
ALTER FUNCTION tell_changed_commands() SET enable_nestloop = off;

-- The servers that share the work. A row says what a node is; whether it lives, its heartbeat and its lock do.
CREATE TABLE nodes (
  -- The number of its lock, and the owner of what it runs. A node that begins anew has another one.
  owner       integer PRIMARY KEY,
  name        text NOT NULL,
  version     text NOT NULL,
  labels      text[] NOT NULL,
  slots       integer NOT NULL,
  -- Whether it takes no more commands.
  draining    boolean NOT NULL DEFAULT false,
  started_at  timestamptz NOT NULL DEFAULT now(),
  -- When it left, having ended all that it ran.
  left_at     timestamptz,
  -- When the others gave it up: nothing that it stores from then on counts.
  fenced_at   timestamptz
);

-- Down Migration

DROP TABLE nodes;
ALTER FUNCTION tell_changed_commands() RESET enable_nestloop;
DROP INDEX commands_live_owner;
CREATE INDEX commands_live_owner ON commands (owner) WHERE status IN ('QUEUED', 'EXECUTING');
DROP INDEX commands_for_nodes;
ALTER TABLE commands DROP COLUMN node, DROP COLUMN output_base, DROP COLUMN reruns;
