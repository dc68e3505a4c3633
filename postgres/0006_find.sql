-- Up Migration

-- Each filter of the list has an index that gives its commands newest first. What is set only by the outcome is left
-- out while it is null: two of a command's three versions. The last columns of the first are there to be looked at
-- without the row, where few commands of a status are wanted.
DROP INDEX commands_status_id;
CREATE INDEX commands_status_id ON commands (status, id DESC, reason, exit_code, durable);
CREATE INDEX commands_exit_code_id ON commands (exit_code, id DESC) WHERE exit_code IS NOT NULL;
CREATE INDEX commands_reason_id ON commands (reason, id DESC) WHERE reason IS NOT NULL;
CREATE INDEX commands_durable_id ON commands (durable, id DESC);
CREATE INDEX commands_created_at_id ON commands (created_at DESC, id DESC);
-- How the outcome came is told thrice, by other names: without this a list by two of them is planned as if they had
-- nothing to do with one another.
CREATE STATISTICS commands_outcomes (mcv) ON status, reason, exit_code, durable FROM commands;

-- The trigrams of a text: all that three consecutive bytes of it make, lower-cased, as one of 65,536 numbers. Where
-- two make the same number the text itself decides. src/persistence/grams.ts computes the same for new commands, forty
-- times as fast.
CREATE FUNCTION command_grams(input text) RETURNS smallint[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT coalesce(array_agg(DISTINCT (
    (get_byte(bytes, i) * 7919 + get_byte(bytes, i + 1) * 263 + get_byte(bytes, i + 2)) % 65536 - 32768)::smallint), '{}')
  FROM (SELECT convert_to(lower(input), 'UTF8') AS bytes) lowered, generate_series(0, octet_length(bytes) - 3) i
$$;

-- What `q` looks up. A table of its own, since each new version of a row goes into all indexes of its table, and a
-- command has three.
CREATE TABLE command_search (
  command_id  bigint PRIMARY KEY REFERENCES commands ON DELETE CASCADE,
  -- Of the description and the beginning of the script.
  grams       smallint[] NOT NULL,
  -- One number for each 4,096 ids: this index knows no order, so the newest are asked for by these.
  segment     integer[] NOT NULL GENERATED ALWAYS AS (ARRAY[(command_id >> 12)::integer]) STORED
);

INSERT INTO command_search (command_id, grams)
SELECT id, command_grams(description) || command_grams(left(script, 8192)) FROM commands ORDER BY id;

-- What is added waits in a list that every search has to read: a short one.
CREATE INDEX command_search_grams ON command_search USING gin (grams, segment) WITH (gin_pending_list_limit = 512);

-- Down Migration

DROP TABLE command_search;
DROP FUNCTION command_grams;
DROP STATISTICS commands_outcomes;
DROP INDEX commands_status_id;
CREATE INDEX commands_status_id ON commands (status, id DESC);
DROP INDEX commands_exit_code_id, commands_reason_id, commands_durable_id, commands_created_at_id;
