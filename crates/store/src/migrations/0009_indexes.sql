-- Rows that are looked for by a release or an app, or that go with it: without these, whole tables are read.
CREATE INDEX jobs_by_release ON jobs (release_id);
CREATE INDEX jobs_held ON jobs (created_at) WHERE held = 1;
CREATE INDEX promotions_by_release ON promotions (release_id);
CREATE INDEX tokens_by_deployed_app ON tokens (deploy_app_id) WHERE deploy_app_id IS NOT NULL;
CREATE INDEX sources_by_app ON sources (app_id) WHERE app_id IS NOT NULL;
