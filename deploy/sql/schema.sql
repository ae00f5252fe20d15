-- The two tables of the dashboard's database that GoSight Ingest reads. The dashboard owns them and its own migrations make them;
-- this file makes them for development and tests only. It can be applied again at any time.

CREATE TABLE IF NOT EXISTS projects (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name       varchar(255) NOT NULL,
    domain     varchar(255),
    owner_id   uuid,
    -- Read here: privacy.anonymizeIp (boolean).
    settings   jsonb        NOT NULL DEFAULT '{}',
    is_active  boolean      NOT NULL DEFAULT true,
    created_at timestamptz  NOT NULL DEFAULT now(),
    updated_at timestamptz  NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS api_keys (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id    uuid         NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    -- Lower-case hex of the SHA-256 of the whole key; the key itself stands nowhere.
    key_hash      varchar(64)  NOT NULL UNIQUE,
    key_prefix    varchar(16)  NOT NULL,
    name          varchar(255) NOT NULL,
    permissions   jsonb        NOT NULL DEFAULT '["ingest"]',
    -- Requests a minute; never enforced so far.
    rate_limit    int          NOT NULL DEFAULT 1000,
    -- The usage counters: the only columns that GoSight Ingest writes.
    request_count bigint       NOT NULL DEFAULT 0,
    last_used_at  timestamptz,
    is_active     boolean      NOT NULL DEFAULT true,
    created_at    timestamptz  NOT NULL DEFAULT now(),
    expires_at    timestamptz
);

CREATE INDEX IF NOT EXISTS api_keys_project_id ON api_keys (project_id);
