-- Portable subset for SQLite and PostgreSQL: identifiers are TEXT made in code, times are BIGINT
-- microseconds UTC, every integer and every flag is BIGINT, JSON is TEXT, no bytes.

CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    parent_id TEXT REFERENCES organizations (id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    -- every organization above this one, nearest first, as a JSON array: the tree without recursion
    above TEXT NOT NULL,
    closed_at BIGINT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE persons (
    id TEXT PRIMARY KEY,
    login TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    -- modalities that the person may read, JSON array; empty means every one
    modalities TEXT NOT NULL,
    disabled_at BIGINT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE grants (
    person_id TEXT NOT NULL REFERENCES persons (id),
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    role TEXT NOT NULL,
    PRIMARY KEY (person_id, organization_id, role)
);
CREATE INDEX grants_by_organization ON grants (organization_id);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    person_id TEXT NOT NULL REFERENCES persons (id),
    token_hash TEXT NOT NULL UNIQUE,
    csrf_hash TEXT NOT NULL,
    -- 'browser' (cookie) or 'program' (bearer)
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_person ON sessions (person_id);

-- Failed sign-ins of one account from one address: locks that pair, not the county behind a NAT.
CREATE TABLE sign_in_failures (
    login TEXT NOT NULL,
    source TEXT NOT NULL,
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    PRIMARY KEY (login, source)
);
CREATE INDEX sign_in_failures_by_age ON sign_in_failures (last_at);

-- Failed sign-ins in a window of time: 'login:…' from every address, 'source:…' for every account.
CREATE TABLE sign_in_windows (
    scope TEXT PRIMARY KEY,
    started_at BIGINT NOT NULL,
    failures BIGINT NOT NULL
);
CREATE INDEX sign_in_windows_by_age ON sign_in_windows (started_at);

-- Addresses that an account has signed in from: they may go on when the account is attacked from elsewhere.
CREATE TABLE known_sources (
    login TEXT NOT NULL,
    source TEXT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (login, source)
);
CREATE INDEX known_sources_by_age ON known_sources (last_at);

-- One-time secrets by purpose: 'setup' (first administrator).
CREATE TABLE tickets (
    purpose TEXT PRIMARY KEY,
    token_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT
);

CREATE TABLE agreements (
    id TEXT PRIMARY KEY,
    clinic_id TEXT NOT NULL REFERENCES organizations (id),
    centre_id TEXT NOT NULL REFERENCES organizations (id),
    modalities TEXT NOT NULL,
    limits TEXT NOT NULL,
    policy TEXT NOT NULL,
    weight BIGINT NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_to BIGINT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX agreements_by_clinic ON agreements (clinic_id);
CREATE INDEX agreements_by_centre ON agreements (centre_id);

CREATE TABLE destinations (
    id TEXT PRIMARY KEY,
    agreement_id TEXT NOT NULL REFERENCES agreements (id),
    route TEXT NOT NULL,
    name TEXT NOT NULL,
    -- how to reach it, JSON: {} for the inbox; ae_title, host, port, tls for DICOM
    settings TEXT NOT NULL,
    removed_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE INDEX destinations_by_agreement ON destinations (agreement_id);

CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    clinic_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    ae_title TEXT NOT NULL,
    -- address or network it calls from (CIDR); empty means any
    address TEXT NOT NULL,
    -- character set that its objects are really in, where they say something else; empty means believe them
    charset TEXT NOT NULL,
    removed_at BIGINT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX devices_by_ae_title ON devices (ae_title);
CREATE INDEX devices_by_clinic ON devices (clinic_id);

CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    clinic_id TEXT NOT NULL REFERENCES organizations (id),
    patient_id TEXT NOT NULL,
    patient_name TEXT NOT NULL,
    patient_birth_date TEXT,
    patient_sex TEXT,
    modality TEXT NOT NULL,
    body_part TEXT,
    accession TEXT,
    study_uid TEXT,
    priority TEXT NOT NULL,
    history TEXT NOT NULL,
    question TEXT NOT NULL,
    ordered_by TEXT NOT NULL REFERENCES persons (id),
    -- set when a study was matched with it
    study_id TEXT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX orders_by_clinic ON orders (clinic_id, id);
CREATE INDEX orders_by_accession ON orders (accession);
CREATE INDEX orders_by_study_uid ON orders (study_uid);

CREATE TABLE studies (
    id TEXT PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    clinic_id TEXT NOT NULL REFERENCES organizations (id),
    patient_id TEXT NOT NULL,
    patient_issuer TEXT,
    patient_name TEXT NOT NULL,
    patient_birth_date TEXT,
    patient_sex TEXT,
    accession TEXT,
    study_number TEXT,
    study_date TEXT,
    study_time TEXT,
    description TEXT,
    modality TEXT NOT NULL,
    body_part TEXT,
    charset TEXT NOT NULL,
    charset_guessed BIGINT NOT NULL,
    instances BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    stage TEXT NOT NULL,
    ready_reason TEXT,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    settle_at BIGINT NOT NULL,
    completed_at BIGINT,
    -- why no case could be opened, until a person has dealt with it: 'no_agreement', 'ambiguous_order'
    trouble TEXT,
    order_id TEXT REFERENCES orders (id),
    version BIGINT NOT NULL
);
CREATE INDEX studies_by_clinic ON studies (clinic_id, id);
CREATE INDEX studies_by_stage ON studies (stage, settle_at);
CREATE INDEX studies_by_accession ON studies (accession);

CREATE TABLE series (
    id TEXT PRIMARY KEY,
    study_id TEXT NOT NULL REFERENCES studies (id),
    uid TEXT NOT NULL,
    modality TEXT NOT NULL,
    number BIGINT,
    description TEXT,
    body_part TEXT,
    UNIQUE (study_id, uid)
);

CREATE TABLE instances (
    id TEXT PRIMARY KEY,
    series_id TEXT NOT NULL REFERENCES series (id),
    study_id TEXT NOT NULL REFERENCES studies (id),
    uid TEXT NOT NULL UNIQUE,
    sop_class TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    number BIGINT,
    image_rows BIGINT,
    image_columns BIGINT,
    frames BIGINT NOT NULL,
    -- of the data set as the sender sent it, without the file meta group that we put before it
    sha256 TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    -- length of the preamble and file meta group before the data set in the blob
    data_offset BIGINT NOT NULL,
    device_id TEXT REFERENCES devices (id),
    received_at BIGINT NOT NULL
);
CREATE INDEX instances_by_study ON instances (study_id, id);
CREATE INDEX instances_by_series ON instances (series_id, id);

CREATE TABLE quarantine (
    id TEXT PRIMARY KEY,
    clinic_id TEXT NOT NULL REFERENCES organizations (id),
    sop_instance TEXT NOT NULL,
    sop_class TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    reason TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    data_offset BIGINT NOT NULL,
    device_id TEXT REFERENCES devices (id),
    received_at BIGINT NOT NULL,
    -- the same unwelcome bytes sent again are the same row
    UNIQUE (sop_instance, sha256, transfer_syntax, clinic_id)
);
CREATE INDEX quarantine_by_clinic ON quarantine (clinic_id, id);

CREATE TABLE cases (
    id TEXT PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    agreement_id TEXT NOT NULL REFERENCES agreements (id),
    clinic_id TEXT NOT NULL REFERENCES organizations (id),
    centre_id TEXT NOT NULL REFERENCES organizations (id),
    study_id TEXT NOT NULL UNIQUE REFERENCES studies (id),
    order_id TEXT REFERENCES orders (id),
    modality TEXT NOT NULL,
    priority TEXT NOT NULL,
    policy TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    fair BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    late_images BIGINT NOT NULL,
    stage TEXT NOT NULL,
    -- the stage with its data, JSON
    state TEXT NOT NULL,
    holder_id TEXT REFERENCES persons (id),
    claim_expires BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX cases_by_centre ON cases (centre_id, stage);
CREATE INDEX cases_by_clinic ON cases (clinic_id, id);
CREATE INDEX cases_by_holder ON cases (holder_id);

-- Weighted fair queueing: the tag of the last case served at a centre, and the last tag of each clinic.
CREATE TABLE fairness (
    centre_id TEXT NOT NULL,
    -- empty for the centre's own virtual time
    clinic_id TEXT NOT NULL,
    tag BIGINT NOT NULL,
    PRIMARY KEY (centre_id, clinic_id)
);

CREATE TABLE drafts (
    id TEXT PRIMARY KEY,
    case_id TEXT NOT NULL REFERENCES cases (id),
    author_id TEXT NOT NULL REFERENCES persons (id),
    fence BIGINT NOT NULL,
    -- 'live', 'orphan' (its writer had lost the claim), 'signed'
    state TEXT NOT NULL,
    findings TEXT NOT NULL,
    impression TEXT NOT NULL,
    recommendation TEXT NOT NULL,
    saved_at BIGINT NOT NULL
);
CREATE INDEX drafts_by_case ON drafts (case_id, id);
-- one live text per hold on a case, however many windows save it
CREATE UNIQUE INDEX drafts_live ON drafts (case_id, author_id, fence) WHERE state = 'live';

CREATE TABLE signing_keys (
    id TEXT PRIMARY KEY,
    person_id TEXT NOT NULL REFERENCES persons (id),
    algorithm TEXT NOT NULL,
    public_key TEXT NOT NULL,
    -- sealed by the master key
    private_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);
CREATE INDEX signing_keys_by_person ON signing_keys (person_id);

CREATE TABLE reports (
    id TEXT PRIMARY KEY,
    case_id TEXT NOT NULL REFERENCES cases (id),
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    -- the canonical bytes that were signed; never updated
    canonical TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    key_id TEXT NOT NULL REFERENCES signing_keys (id),
    signature TEXT NOT NULL,
    signed_at BIGINT NOT NULL,
    -- UIDs of the objects that carry it: Basic Text SR and Encapsulated PDF
    sr_uid TEXT NOT NULL,
    pdf_uid TEXT NOT NULL,
    -- UIDs of the series that each of them is filed under
    sr_series_uid TEXT NOT NULL,
    pdf_series_uid TEXT NOT NULL,
    UNIQUE (case_id, number)
);

-- Rendered forms of a signed version, kept so that the same UID never has two contents.
CREATE TABLE renderings (
    report_id TEXT NOT NULL REFERENCES reports (id),
    -- 'pdf', 'sr_object', 'pdf_object'
    form TEXT NOT NULL,
    blob_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (report_id, form)
);

CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    report_id TEXT NOT NULL REFERENCES reports (id),
    case_id TEXT NOT NULL REFERENCES cases (id),
    clinic_id TEXT NOT NULL REFERENCES organizations (id),
    centre_id TEXT NOT NULL REFERENCES organizations (id),
    destination_id TEXT NOT NULL REFERENCES destinations (id),
    route TEXT NOT NULL,
    stage TEXT NOT NULL,
    -- the stage with its data, JSON
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (report_id, destination_id)
);
CREATE INDEX deliveries_by_clinic ON deliveries (clinic_id, route, id);
CREATE INDEX deliveries_by_case ON deliveries (case_id);
CREATE INDEX deliveries_by_stage ON deliveries (stage);

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    -- who works on it, and until when; empty and 0 when nobody does
    lease TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    -- set when it was given up
    failed_at BIGINT,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    UNIQUE (kind, subject)
);
CREATE INDEX jobs_by_due ON jobs (due_at);

CREATE TABLE events (
    seq BIGINT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    source TEXT NOT NULL,
    organization TEXT NOT NULL,
    partner TEXT NOT NULL,
    object TEXT NOT NULL,
    details TEXT NOT NULL,
    seal TEXT NOT NULL
);
CREATE INDEX events_by_organization ON events (organization, seq);
CREATE INDEX events_by_object ON events (object, seq);

-- The end of the event chain: one row.
CREATE TABLE event_head (
    id BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL,
    seal TEXT NOT NULL,
    head_seal TEXT NOT NULL
);

CREATE TABLE idempotency (
    person_id TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    -- 0 while the first call is being worked on
    status BIGINT NOT NULL,
    response TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (person_id, key)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- Human numbers per kind and year: IMG-2026-000123.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
