-- Commands that run again and again.
CREATE TABLE cron_entries (
    id          TEXT PRIMARY KEY,
    app_id      TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    -- app_json: follows the release that serves; added: by people.
    origin      TEXT NOT NULL,
    command     TEXT NOT NULL,
    schedule    TEXT NOT NULL,
    timezone    TEXT NOT NULL,
    concurrency TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    -- Its history is kept for a while.
    removed_at  INTEGER,
    -- Instants up to here have been dealt with; a clock that is put back takes it back.
    dealt_until INTEGER NOT NULL,
    -- The first after that; NULL: never.
    next_due    INTEGER,
    -- Rows of runs up to here may be gone.
    pruned_until INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX cron_entries_by_app ON cron_entries (app_id);
CREATE INDEX cron_entries_due ON cron_entries (next_due) WHERE removed_at IS NULL;

-- What became of instants.
CREATE TABLE cron_runs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    entry_id TEXT NOT NULL REFERENCES cron_entries (id) ON DELETE CASCADE,
    -- NULL: it was started by hand.
    due_at   INTEGER,
    at       INTEGER NOT NULL,
    -- started, skipped, missed
    outcome  TEXT NOT NULL,
    job_id   TEXT UNIQUE REFERENCES jobs (id) ON DELETE CASCADE,
    reason   TEXT,
    -- Of missed instants, from due_at on.
    count    INTEGER NOT NULL
) STRICT;
-- No instant of an entry is run or skipped twice. One that was missed may come again, when a clock is put back.
CREATE UNIQUE INDEX cron_runs_once ON cron_runs (entry_id, due_at) WHERE outcome <> 'missed';
CREATE INDEX cron_runs_by_entry ON cron_runs (entry_id, sequence);
