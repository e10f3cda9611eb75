-- The tables of Sealwax's JdbcKeysetStore, for PostgreSQL 13 or later.

-- One row for each keyset. Names are compared byte by byte: pages of names depend on it.
CREATE TABLE sealwax_keysets (
  name     varchar(64) COLLATE "C" PRIMARY KEY,
  revision bigint NOT NULL,
  document text NOT NULL
);

-- One row for each of the latest writes. Row 0 stays: writers lock it, so numbers follow the order of commits.
CREATE TABLE sealwax_keysets_changes (
  change_number bigint PRIMARY KEY,
  token         varchar(36) NOT NULL,
  name          varchar(64) COLLATE "C"
);

INSERT INTO sealwax_keysets_changes (change_number, token)
  VALUES (0, CAST(gen_random_uuid() AS varchar(36)));
