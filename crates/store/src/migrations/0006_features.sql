-- What apps have switched on.
CREATE TABLE app_features (
    app_id     TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    feature    TEXT NOT NULL,
    enabled_at INTEGER NOT NULL,
    PRIMARY KEY (app_id, feature)
) STRICT;
