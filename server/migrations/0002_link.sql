-- The clinic link (docs/PROTOCOL.md). The rules of 0001 hold here too.

-- One-time codes that a gateway joins with.
CREATE TABLE join_codes (
    -- the code's first four bytes, hexadecimal: what it is looked up by
    handle TEXT PRIMARY KEY,
    clinic_id TEXT NOT NULL REFERENCES organizations (id),
    secret_hash TEXT NOT NULL,
    -- the name that the gateway gets, or empty for the one it asks for
    name TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- wrong secrets so far; five lock it
    failures BIGINT NOT NULL,
    used_at BIGINT,
    withdrawn_at BIGINT,
    gateway_id TEXT
);
CREATE INDEX join_codes_by_clinic ON join_codes (clinic_id, created_at);

CREATE TABLE gateways (
    id TEXT PRIMARY KEY,
    clinic_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    software TEXT NOT NULL,
    joined_at BIGINT NOT NULL,
    revoked_at BIGINT,
    -- the last time it was connected or heard of, and how
    seen_at BIGINT,
    source TEXT NOT NULL,
    carrier TEXT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX gateways_by_clinic ON gateways (clinic_id, id);

-- Certificates that the relay's authority gave to gateways. One that is not here is nobody's.
CREATE TABLE gateway_certificates (
    -- SHA-256 of the DER, hexadecimal
    fingerprint TEXT PRIMARY KEY,
    gateway_id TEXT NOT NULL REFERENCES gateways (id),
    -- SubjectPublicKeyInfo, DER, hexadecimal
    public_key TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX gateway_certificates_by_gateway ON gateway_certificates (gateway_id);

-- Keys of the relay as a whole, the same on every server: 'authority' (the root that gateways trust and that signs
-- their certificates) and 'receipts'. The first server makes them.
CREATE TABLE relay_keys (
    name TEXT PRIMARY KEY,
    -- the certificate (PEM), or the public key (hexadecimal)
    public TEXT NOT NULL,
    -- the private key, wrapped by the vault
    sealed TEXT NOT NULL,
    made_at BIGINT NOT NULL
);

-- What a gateway says belongs to a study, as it signed it.
CREATE TABLE manifests (
    id TEXT PRIMARY KEY,
    clinic_id TEXT NOT NULL REFERENCES organizations (id),
    -- the gateway, or the person whose browser sends
    sender TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    -- as it was signed, hexadecimal
    body TEXT NOT NULL,
    -- hexadecimal; empty from a browser
    signature TEXT NOT NULL,
    certificate TEXT NOT NULL,
    urgency BIGINT NOT NULL,
    entries BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    committed_at BIGINT,
    -- the sender gave it up: the study settles by quiet time again
    withdrawn_at BIGINT,
    -- the relay's receipt and its signature, hexadecimal
    receipt TEXT,
    receipt_signature TEXT
);
CREATE INDEX manifests_by_study ON manifests (study_uid, clinic_id);
CREATE INDEX manifests_by_clinic ON manifests (clinic_id, id);
CREATE INDEX manifests_open ON manifests (committed_at, received_at);

CREATE TABLE manifest_entries (
    manifest_id TEXT NOT NULL REFERENCES manifests (id),
    position BIGINT NOT NULL,
    sop_instance TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (manifest_id, position)
);
CREATE INDEX manifest_entries_by_instance ON manifest_entries (sop_instance);

-- What people at the centre say to a clinic about a case: "retake, positioning", or something to know.
CREATE TABLE clinic_messages (
    id TEXT PRIMARY KEY,
    clinic_id TEXT NOT NULL REFERENCES organizations (id),
    centre_id TEXT NOT NULL REFERENCES organizations (id),
    case_id TEXT NOT NULL REFERENCES cases (id),
    -- 'return_request' or 'notice'
    kind TEXT NOT NULL,
    code TEXT NOT NULL,
    text TEXT NOT NULL,
    written_by TEXT NOT NULL REFERENCES persons (id),
    written_at BIGINT NOT NULL
);
CREATE INDEX clinic_messages_by_clinic ON clinic_messages (clinic_id, id);
CREATE INDEX clinic_messages_by_case ON clinic_messages (case_id);

-- What a gateway has made durable of what flows back: 'report:<id>' or 'message:<id>'.
CREATE TABLE item_receipts (
    gateway_id TEXT NOT NULL REFERENCES gateways (id),
    item TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (gateway_id, item)
);

-- How many instances the manifests of a study announce; NULL where there is none.
ALTER TABLE studies ADD COLUMN expected BIGINT;

-- What a gateway has not seen is looked for from a moment on.
CREATE INDEX reports_by_signing ON reports (signed_at);
