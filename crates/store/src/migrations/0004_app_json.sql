-- What the slug's app.json says about running its processes, normal; NULL for a slug without.
ALTER TABLE releases ADD COLUMN app_json TEXT;
