-- The tables of Sealwax's JdbcKeysetStore, for H2 2.

-- One row for each keyset.
CREATE TABLE sealwax_keysets (
  name     VARCHAR(64) PRIMARY KEY,
  revision BIGINT NOT NULL,
  document VARCHAR(1048576) NOT NULL
);

-- One row for each of the latest writes. Row 0 stays: writers lock it, so numbers follow the order of commits.
CREATE TABLE sealwax_keysets_changes (
  change_number BIGINT PRIMARY KEY,
  token         VARCHAR(36) NOT NULL,
  name          VARCHAR(64)
);

INSERT INTO sealwax_keysets_changes (change_number, token) VALUES (0, CAST(RANDOM_UUID() AS VARCHAR(36)));
