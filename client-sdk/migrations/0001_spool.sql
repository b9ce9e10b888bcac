-- What waits at the clinic: studies, their objects, what was offered to the relay and what came back.
-- Times are microseconds UTC. This file is on the clinic's own machine and holds patient data.

CREATE TABLE studies (
    key INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    patient_id TEXT NOT NULL,
    patient_name TEXT NOT NULL,
    patient_birth_date TEXT,
    patient_sex TEXT,
    modality TEXT NOT NULL,
    description TEXT,
    study_date TEXT,
    -- 0 STAT, 1 urgent, 2 routine
    urgency INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    -- when what has come is offered, unless more comes first; NULL when nothing is gathering
    settle_at INTEGER
);

CREATE TABLE objects (
    id TEXT PRIMARY KEY,
    study_key INTEGER NOT NULL REFERENCES studies (key),
    sop_instance TEXT NOT NULL,
    sop_class TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    series_number INTEGER,
    instance_number INTEGER,
    -- of the data set, as the modality made it
    bytes INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    -- length of the preamble and file meta group before it in the file
    data_offset INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    -- 'kept', 'flagged', 'discarded', 'stored', 'aside', 'refused'
    state TEXT NOT NULL,
    -- why a person must look
    flag TEXT,
    -- the offer it is part of, and its place there
    manifest_key INTEGER REFERENCES manifests (key),
    position INTEGER,
    -- set once the file is gone
    deleted_at INTEGER,
    UNIQUE (sop_instance, sha256, transfer_syntax)
);
CREATE INDEX objects_by_study ON objects (study_key, state);
CREATE INDEX objects_by_manifest ON objects (manifest_key, position);

CREATE TABLE manifests (
    key INTEGER PRIMARY KEY,
    study_key INTEGER NOT NULL REFERENCES studies (key),
    made_at INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    -- as signed; NULL until it is offered for the first time
    raw BLOB,
    signature BLOB,
    committed_at INTEGER,
    receipt BLOB,
    receipt_signature BLOB,
    -- why the relay does not take the whole offer
    refused TEXT
);
CREATE INDEX manifests_by_study ON manifests (study_key);
CREATE INDEX manifests_open ON manifests (committed_at);

CREATE TABLE items (
    id TEXT PRIMARY KEY,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    study_uid TEXT NOT NULL,
    case_number TEXT NOT NULL,
    code TEXT NOT NULL,
    text TEXT NOT NULL,
    media_type TEXT,
    bytes INTEGER,
    received_at INTEGER NOT NULL,
    seen_at INTEGER
);

CREATE TABLE problems (
    key INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    -- what is wrong, in a word that the pages translate
    code TEXT NOT NULL,
    study_key INTEGER REFERENCES studies (key),
    detail TEXT NOT NULL,
    -- how often it happened in a row
    times INTEGER NOT NULL
);
