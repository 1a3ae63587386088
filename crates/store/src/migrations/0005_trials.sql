-- When a release was promoted by the clock that decides; NULL for promotions by older servers.
ALTER TABLE promotions ADD COLUMN boot_id TEXT;
ALTER TABLE promotions ADD COLUMN boot_at INTEGER;

-- Crashes of releases in their first minutes, and the release by which one was given up for them.
CREATE TABLE trials (
    release_id   TEXT PRIMARY KEY REFERENCES releases (id) ON DELETE CASCADE,
    app_id       TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    crashes      INTEGER NOT NULL,
    given_up_for TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX trials_by_app ON trials (app_id);
