-- Builds of trees that are no commit of the app's repository.
ALTER TABLE builds ADD COLUMN version TEXT;
ALTER TABLE builds ADD COLUMN checksum TEXT;
ALTER TABLE builds ADD COLUMN source_url TEXT;
ALTER TABLE releases ADD COLUMN source_version TEXT;

-- A token that is for deploying one app alone; it goes with the app.
ALTER TABLE tokens ADD COLUMN deploy_app_id TEXT REFERENCES apps (id) ON DELETE CASCADE;

-- Places for uploads. The bytes lie in a file named by the id, whole once `bytes` is set.
CREATE TABLE sources (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- NULL: for any app of the account.
    app_id     TEXT REFERENCES apps (id) ON DELETE CASCADE,
    put_hash   BLOB NOT NULL UNIQUE,
    get_hash   BLOB NOT NULL UNIQUE,
    bytes      INTEGER,
    checksum   TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sources_by_account ON sources (account_id);
CREATE INDEX sources_by_age ON sources (expires_at);

-- Public keys by which accounts are known over SSH.
CREATE TABLE ssh_keys (
    id          TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    public_key  TEXT NOT NULL,
    fingerprint TEXT NOT NULL UNIQUE,
    comment     TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX ssh_keys_by_account ON ssh_keys (account_id);
