-- Up Migration

-- What has become of commands, for those who look at all of them: a row for each command that was stored, changed its
-- status or was deleted. Only the latest are kept. Numbers are given out before the transaction that takes them is
-- committed, so rows do not become visible in their order; the transaction tells a reader which ones he can't have seen.
CREATE TABLE command_events (
  xid           xid8 NOT NULL DEFAULT pg_current_xact_id(),
  seq           bigint GENERATED ALWAYS AS IDENTITY,
  command_uuid  uuid NOT NULL,
  -- Null: it was deleted.
  status        text,
  at            timestamptz NOT NULL,
  PRIMARY KEY (xid, seq)
);

-- One row: the latest transaction of which events are not kept any more.
CREATE TABLE command_events_trimmed (up_to xid8 NOT NULL);
INSERT INTO command_events_trimmed VALUES ('0');

-- Triggers, so that nothing that changes a command can forget to tell. One insert a statement, however many rows it has.
CREATE FUNCTION tell_new_commands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO command_events (command_uuid, status, at)
  SELECT command_uuid, status, created_at FROM stored ORDER BY id;
  RETURN NULL;
END $$;

CREATE FUNCTION tell_changed_commands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO command_events (command_uuid, status, at)
  SELECT n.command_uuid, n.status, coalesce(n.ended_at, n.started_at, clock_timestamp())
  FROM before o JOIN after n USING (id) WHERE o.status <> n.status ORDER BY id;
  RETURN NULL;
END $$;

CREATE FUNCTION tell_deleted_commands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO command_events (command_uuid, at)
  SELECT command_uuid, clock_timestamp() FROM gone ORDER BY id;
  RETURN NULL;
END $$;

CREATE TRIGGER tell_new_commands AFTER INSERT ON commands
  REFERENCING NEW TABLE AS stored FOR EACH STATEMENT EXECUTE FUNCTION tell_new_commands();
CREATE TRIGGER tell_changed_commands AFTER UPDATE ON commands
  REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION tell_changed_commands();
CREATE TRIGGER tell_deleted_commands AFTER DELETE ON commands
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION tell_deleted_commands();

-- Down Migration

DROP TRIGGER tell_new_commands ON commands;
DROP TRIGGER tell_changed_commands ON commands;
DROP TRIGGER tell_deleted_commands ON commands;
DROP FUNCTION tell_new_commands;
DROP FUNCTION tell_changed_commands;
DROP FUNCTION tell_deleted_commands;
DROP TABLE command_events_trimmed;
DROP TABLE command_events;
