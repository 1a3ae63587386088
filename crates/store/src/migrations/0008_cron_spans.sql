-- Instants of recurring commands whose rows are gone, as a few spans: [[first, last], ...].
ALTER TABLE cron_entries ADD COLUMN pruned TEXT NOT NULL DEFAULT '[]';
UPDATE cron_entries SET pruned = json_array(json_array(0, pruned_until)) WHERE pruned_until > 0;
ALTER TABLE cron_entries DROP COLUMN pruned_until;

-- Those that are ahead of a clock, and those that were removed, are looked for again and again.
CREATE INDEX cron_entries_ahead ON cron_entries (dealt_until) WHERE removed_at IS NULL;
CREATE INDEX cron_entries_removed ON cron_entries (removed_at) WHERE removed_at IS NOT NULL;
