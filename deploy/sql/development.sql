-- One project with two well-known keys, for development and tests. Never apply it where strangers can send: the keys are public.
-- It can be applied again at any time.

INSERT INTO projects (id, name, domain)
VALUES ('b0000000-0000-0000-0000-000000000001', 'Development', 'localhost')
ON CONFLICT (id) DO NOTHING;

INSERT INTO api_keys (project_id, key_hash, key_prefix, name)
SELECT 'b0000000-0000-0000-0000-000000000001', encode(sha256(key::bytea), 'hex'), left(key, 12), name
FROM (VALUES ('gs_test_key', 'Quick start'), ('gs_test_project_key', 'Development')) AS keys (key, name)
ON CONFLICT (key_hash) DO NOTHING;
