-- Up Migration

ALTER TABLE commands
  -- The command that this one repeats, whose row may be gone by now. Null: none.
  ADD COLUMN rerun_of uuid;

-- The keys that clients have made their requests safe to repeat with, each for a day. There is no reference to
-- commands: one that is deleted is not to be run again either.
CREATE TABLE idempotency_keys (
  -- Whose keys these are.
  scope         text NOT NULL DEFAULT '',
  key           text NOT NULL,
  -- SHA-256 of what was asked for.
  fingerprint   bytea NOT NULL,
  command_uuid  uuid NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  -- Whether a request that came later was told of the command while nothing else showed that it would stay.
  replayed      boolean NOT NULL DEFAULT false,
  PRIMARY KEY (scope, key)
);

CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- Down Migration

DROP TABLE idempotency_keys;
ALTER TABLE commands DROP COLUMN rerun_of;
