-- Up Migration

-- How the client wants the script run: the keys of the request that it has given.
ALTER TABLE commands ADD COLUMN options jsonb NOT NULL DEFAULT '{}';

-- Down Migration

ALTER TABLE commands DROP COLUMN options;
