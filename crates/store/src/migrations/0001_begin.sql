CREATE TABLE migrations (
    version    INTEGER PRIMARY KEY,
    applied_at INTEGER NOT NULL
) STRICT;

-- One row: facts about the ledger as a whole.
CREATE TABLE ledger (
    only           INTEGER PRIMARY KEY CHECK (only = 1),
    epoch          INTEGER NOT NULL,
    next_app_index INTEGER NOT NULL,
    key_check      BLOB NOT NULL,
    created_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE hosts (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE accounts (
    id         TEXT PRIMARY KEY,
    email      TEXT NOT NULL UNIQUE,
    role       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- What an owner may have at most; NULL or no row: unlimited.
CREATE TABLE quotas (
    account_id TEXT PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    apps       INTEGER,
    processes  INTEGER
) STRICT;

-- Only a hash of a token's secret is kept.
CREATE TABLE tokens (
    id          TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    secret_hash BLOB NOT NULL UNIQUE,
    prefix      TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER
) STRICT;
CREATE INDEX tokens_by_account ON tokens (account_id);

CREATE TABLE apps (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    app_index   INTEGER NOT NULL UNIQUE,
    owner_id    TEXT NOT NULL REFERENCES accounts (id),
    maintenance INTEGER NOT NULL DEFAULT 0,
    -- The app's data key, sealed under the master key.
    data_key    BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX apps_by_owner ON apps (owner_id);

CREATE TABLE collaborators (
    app_id     TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (app_id, account_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE domains (
    id         TEXT PRIMARY KEY,
    app_id     TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    hostname   TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX domains_by_app ON domains (app_id);

CREATE TABLE builds (
    id         TEXT PRIMARY KEY,
    app_id     TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    actor_id   TEXT,
    commit_id  TEXT,
    status     TEXT NOT NULL,
    reason     TEXT,
    slug       TEXT,
    release_id TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (app_id, number)
) STRICT;
CREATE INDEX builds_unfinished ON builds (status) WHERE status IN ('waiting', 'running');

CREATE TABLE releases (
    id                TEXT PRIMARY KEY,
    app_id            TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    version           INTEGER NOT NULL,
    slug              TEXT,
    slug_size_bytes   INTEGER NOT NULL,
    process_types     TEXT NOT NULL,
    commit_id         TEXT,
    build_id          TEXT,
    build_number      INTEGER,
    -- The user's config vars, sealed under the app's data key.
    config            BLOB NOT NULL,
    -- References: name, attachment, credential.
    attachments       TEXT NOT NULL,
    -- Their values as they were when the release was appended, sealed; NULL without attachments.
    attachment_values BLOB,
    actor_id          TEXT,
    description       TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    UNIQUE (app_id, version)
) STRICT;

CREATE TRIGGER releases_are_immutable BEFORE UPDATE ON releases
BEGIN
    SELECT RAISE(ABORT, 'a release is never changed');
END;

CREATE TABLE release_status (
    release_id TEXT PRIMARY KEY REFERENCES releases (id) ON DELETE CASCADE,
    status     TEXT NOT NULL,
    reason     TEXT,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX release_status_unfinished ON release_status (status) WHERE status IN ('pending', 'phase_running', 'starting');

-- The newest row of an app names its current release.
CREATE TABLE promotions (
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id     TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    release_id TEXT NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
    at         INTEGER NOT NULL
) STRICT;
CREATE INDEX promotions_by_app ON promotions (app_id, sequence);

CREATE TABLE formation (
    app_id       TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    process_type TEXT NOT NULL,
    id           TEXT NOT NULL UNIQUE,
    quantity     INTEGER NOT NULL,
    size         TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    PRIMARY KEY (app_id, process_type)
) STRICT, WITHOUT ROWID;

CREATE TABLE stopped_slots (
    app_id       TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    process_type TEXT NOT NULL,
    slot         INTEGER NOT NULL,
    PRIMARY KEY (app_id, process_type, slot)
) STRICT, WITHOUT ROWID;

-- slot 0: every process of the type.
CREATE TABLE restarts (
    app_id       TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    process_type TEXT NOT NULL,
    slot         INTEGER NOT NULL,
    boot_id      TEXT NOT NULL,
    boot_at      INTEGER NOT NULL,
    PRIMARY KEY (app_id, process_type, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE crashes (
    release_id   TEXT NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
    process_type TEXT NOT NULL,
    slot         INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    boot_id      TEXT NOT NULL,
    last_exit    INTEGER NOT NULL,
    PRIMARY KEY (release_id, process_type, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    id                 TEXT PRIMARY KEY,
    app_id             TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    kind               TEXT NOT NULL,
    release_id         TEXT NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
    number             INTEGER NOT NULL,
    command            TEXT NOT NULL,
    -- Vars of this job alone, sealed; NULL without.
    environment        BLOB,
    streams            TEXT NOT NULL,
    size               TEXT NOT NULL,
    time_limit_seconds INTEGER NOT NULL,
    actor_id           TEXT,
    -- 1 until the person who attaches has come.
    held               INTEGER NOT NULL,
    cancelled          INTEGER NOT NULL DEFAULT 0,
    started_process    TEXT UNIQUE,
    state              TEXT NOT NULL,
    exit_status        TEXT,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    UNIQUE (app_id, kind, number)
) STRICT;
CREATE INDEX jobs_unfinished ON jobs (app_id) WHERE state IN ('waiting', 'started');

-- Ends of processes. They outlive their app: only recorded ends may be cleaned up.
CREATE TABLE exits (
    process_id  TEXT PRIMARY KEY,
    app_id      TEXT NOT NULL,
    purpose     TEXT NOT NULL,
    exit        TEXT,
    boot_id     TEXT NOT NULL,
    -- 1 once nothing of it is observed any more.
    gone        INTEGER NOT NULL DEFAULT 0,
    recorded_at INTEGER NOT NULL
) STRICT;
CREATE INDEX exits_not_gone ON exits (process_id) WHERE gone = 0;
CREATE INDEX exits_by_app ON exits (app_id, recorded_at);

-- What people are told about living processes; never read by the plan.
CREATE TABLE placements (
    process_id TEXT PRIMARY KEY,
    app_id     TEXT NOT NULL,
    host_id    TEXT NOT NULL REFERENCES hosts (id),
    purpose    TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX placements_by_app ON placements (app_id);

CREATE TABLE events (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    actor_id    TEXT,
    action      TEXT NOT NULL,
    app_id      TEXT,
    resource    TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    before      TEXT NOT NULL,
    after       TEXT NOT NULL,
    request_id  TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_app ON events (app_id, sequence);

CREATE TABLE idempotency (
    actor_id    TEXT NOT NULL,
    method      TEXT NOT NULL,
    path        TEXT NOT NULL,
    key_hash    BLOB NOT NULL,
    body_hash   BLOB NOT NULL,
    resource    TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    status      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    boot_id     TEXT NOT NULL,
    boot_at     INTEGER NOT NULL,
    PRIMARY KEY (actor_id, method, path, key_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (at);
