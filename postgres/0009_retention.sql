-- Up Migration

ALTER TABLE commands
  -- Whether it stays when many are deleted.
  ADD COLUMN pinned boolean NOT NULL DEFAULT false,
  -- Bytes of its script, of its stdin and, once it has ended, of what is kept of its output.
  ADD COLUMN kept_bytes bigint NOT NULL GENERATED ALWAYS AS (
    octet_length(script) + coalesce(octet_length(stdin), 0) + least(output_bytes, output_head + output_tail)) STORED;

-- What may be deleted, oldest first.
CREATE INDEX commands_ended_at_id ON commands (ended_at, id) WHERE ended_at IS NOT NULL AND NOT pinned;
CREATE INDEX commands_pinned_id ON commands (id DESC) WHERE pinned;

-- How many commands have ended, and what they keep: the sums over all rows. A row that all would change made their
-- transactions wait for one another; so each statement adds one of its own, and from time to time they are added up.
CREATE TABLE command_totals (
  pinned    boolean NOT NULL,
  commands  bigint NOT NULL,
  bytes     bigint NOT NULL
);

INSERT INTO command_totals
SELECT pinned, count(*), sum(kept_bytes) FROM commands WHERE ended_at IS NOT NULL GROUP BY pinned;

-- Triggers, so that nothing that changes a command can forget to count it: what is deleted depends on it.
CREATE FUNCTION count_changed_commands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO command_totals
  SELECT pinned, sum(sign), sum(sign * kept_bytes)
  FROM (SELECT pinned, -1 AS sign, kept_bytes FROM before WHERE ended_at IS NOT NULL
        UNION ALL SELECT pinned, 1, kept_bytes FROM after WHERE ended_at IS NOT NULL) changed
  GROUP BY pinned;
  RETURN NULL;
END $$;

CREATE FUNCTION count_deleted_commands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO command_totals
  SELECT pinned, -count(*), -sum(kept_bytes) FROM gone WHERE ended_at IS NOT NULL GROUP BY pinned;
  RETURN NULL;
END $$;

CREATE FUNCTION count_no_commands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM command_totals;
  RETURN NULL;
END $$;

CREATE TRIGGER count_changed_commands AFTER UPDATE ON commands
  REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_changed_commands();
CREATE TRIGGER count_deleted_commands AFTER DELETE ON commands
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION count_deleted_commands();
CREATE TRIGGER count_no_commands AFTER TRUNCATE ON commands
  FOR EACH STATEMENT EXECUTE FUNCTION count_no_commands();

-- Down Migration

DROP TRIGGER count_changed_commands ON commands;
DROP TRIGGER count_deleted_commands ON commands;
DROP TRIGGER count_no_commands ON commands;
DROP FUNCTION count_changed_commands;
DROP FUNCTION count_deleted_commands;
DROP FUNCTION count_no_commands;
DROP TABLE command_totals;
DROP INDEX commands_ended_at_id, commands_pinned_id;
ALTER TABLE commands DROP COLUMN pinned, DROP COLUMN kept_bytes;
