-- The builders that people chose for an app, in order. None: the one that fits the source.
CREATE TABLE buildpacks (
    app_id  TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    name    TEXT NOT NULL,
    PRIMARY KEY (app_id, ordinal)
) STRICT, WITHOUT ROWID;
