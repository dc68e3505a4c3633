-- Up Migration

-- The steps that the machines of commands took: a row for those that were stored together, mostly all of a command. The
-- first, its admission, is not among them: created_at tells it. The place of a row in the path of its command is its key,
-- so writing the same row again, after a commit whose answer got lost, changes nothing.
CREATE TABLE command_transitions (
  command_id  bigint NOT NULL,
  first_step  integer NOT NULL,
  -- [[event, state entered, ms since the epoch], …]. json, since nobody looks inside: half of what jsonb or arrays cost.
  steps       json NOT NULL,
  PRIMARY KEY (command_id, first_step)
);

-- In place of a foreign key, whose check of each row costs half as much as the row itself.
CREATE FUNCTION delete_transitions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM command_transitions USING gone WHERE command_id = gone.id;
  RETURN NULL;
END $$;

CREATE TRIGGER delete_transitions AFTER DELETE ON commands
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION delete_transitions();

-- Down Migration

DROP TRIGGER delete_transitions ON commands;
DROP FUNCTION delete_transitions;
DROP TABLE command_transitions;
