-- Up Migration

-- The progress of which the events of all commands tell: the latest once a second at most, and the last of all.
ALTER TABLE commands ADD COLUMN progress_told jsonb;
-- Null: it tells of a status, or of a deletion.
ALTER TABLE command_events ADD COLUMN progress jsonb;

CREATE OR REPLACE FUNCTION tell_changed_commands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO command_events (command_uuid, status, progress, at)
  SELECT n.command_uuid, n.status,
    CASE WHEN n.status = o.status THEN n.progress_told END,
    CASE WHEN n.status <> o.status THEN coalesce(n.ended_at, n.started_at, clock_timestamp()) ELSE clock_timestamp() END
  FROM before o JOIN after n USING (id)
  WHERE o.status <> n.status OR o.progress_told IS DISTINCT FROM n.progress_told ORDER BY id;
  RETURN NULL;
END $$;

-- Down Migration

CREATE OR REPLACE FUNCTION tell_changed_commands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO command_events (command_uuid, status, at)
  SELECT n.command_uuid, n.status, coalesce(n.ended_at, n.started_at, clock_timestamp())
  FROM before o JOIN after n USING (id) WHERE o.status <> n.status ORDER BY id;
  RETURN NULL;
END $$;

DELETE FROM command_events WHERE progress IS NOT NULL;
ALTER TABLE command_events DROP COLUMN progress;
ALTER TABLE commands DROP COLUMN progress_told;
