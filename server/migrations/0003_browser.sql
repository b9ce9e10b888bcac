-- What people need to do their whole job in a browser. The rules of 0001 hold here too.

-- How somebody without a password comes to have one: a link that is good once.
CREATE TABLE invitations (
    token_hash TEXT PRIMARY KEY,
    person_id TEXT NOT NULL REFERENCES persons (id),
    invited_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    withdrawn_at BIGINT
);
CREATE INDEX invitations_by_person ON invitations (person_id);

-- The second factor of an account (RFC 6238).
CREATE TABLE second_factors (
    person_id TEXT PRIMARY KEY REFERENCES persons (id),
    -- the shared secret, wrapped by the vault
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- set when the first code was right: until then it is not asked for
    confirmed_at BIGINT,
    -- the last step of time whose code was used: a code is good once
    last_step BIGINT NOT NULL
);

-- Codes for somebody who has lost the second factor, good once each.
CREATE TABLE recovery_codes (
    person_id TEXT NOT NULL REFERENCES persons (id),
    code_hash TEXT NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (person_id, code_hash)
);

-- When the holder of a session last proved who they are; NULL: at sign-in.
ALTER TABLE sessions ADD COLUMN proved_at BIGINT;

-- How somebody likes their screen, JSON: keymap, theme, saved filters, sounds.
CREATE TABLE preferences (
    person_id TEXT PRIMARY KEY REFERENCES persons (id),
    body TEXT NOT NULL,
    saved_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- Texts for reports: 'template' (a whole report) or 'phrase' (expanded while writing).
CREATE TABLE templates (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- whose own it is; NULL: everybody's at the organization
    person_id TEXT REFERENCES persons (id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    -- what expands to a phrase after '#'; empty for none
    shortcut TEXT NOT NULL,
    -- empty: any
    modality TEXT NOT NULL,
    body_part TEXT NOT NULL,
    findings TEXT NOT NULL,
    impression TEXT NOT NULL,
    recommendation TEXT NOT NULL,
    removed_at BIGINT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX templates_by_organization ON templates (organization_id, id);
-- A shortcut means one thing among a person's own texts, and one among everybody's.
CREATE UNIQUE INDEX templates_by_shortcut
    ON templates (organization_id, COALESCE(person_id, ''), shortcut)
    WHERE shortcut <> '' AND removed_at IS NULL;

-- A result that must reach a person now.
CREATE TABLE findings (
    id TEXT PRIMARY KEY,
    case_id TEXT NOT NULL REFERENCES cases (id),
    clinic_id TEXT NOT NULL REFERENCES organizations (id),
    centre_id TEXT NOT NULL REFERENCES organizations (id),
    -- from the list of critical values
    code TEXT NOT NULL,
    text TEXT NOT NULL,
    stage TEXT NOT NULL,
    -- the stage with its data, JSON
    state TEXT NOT NULL,
    raised_by TEXT NOT NULL REFERENCES persons (id),
    raised_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX findings_by_case ON findings (case_id);
CREATE INDEX findings_by_clinic ON findings (clinic_id, stage, id);
CREATE INDEX findings_by_centre ON findings (centre_id, stage, id);

-- What a reader has drawn on the images of a case under one hold, JSON; kept with the report when that is signed.
CREATE TABLE annotations (
    case_id TEXT NOT NULL REFERENCES cases (id),
    author_id TEXT NOT NULL REFERENCES persons (id),
    fence BIGINT NOT NULL,
    body TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    saved_at BIGINT NOT NULL,
    PRIMARY KEY (case_id, author_id, fence)
);
CREATE TABLE report_annotations (
    report_id TEXT PRIMARY KEY REFERENCES reports (id),
    body TEXT NOT NULL,
    sha256 TEXT NOT NULL
);

-- Whom a coordinator has given a case to; NULL: whoever comes.
ALTER TABLE cases ADD COLUMN assigned_id TEXT REFERENCES persons (id);
CREATE INDEX cases_by_assigned ON cases (assigned_id);
-- How often a case was returned to its clinic.
ALTER TABLE cases ADD COLUMN returns BIGINT NOT NULL DEFAULT 0;

-- The side that a message was written on; NULL: the centre.
ALTER TABLE clinic_messages ADD COLUMN organization_id TEXT REFERENCES organizations (id);
CREATE INDEX clinic_messages_by_centre ON clinic_messages (centre_id, id);
-- Until when somebody has seen what was said about a case.
CREATE TABLE messages_seen (
    person_id TEXT NOT NULL REFERENCES persons (id),
    case_id TEXT NOT NULL REFERENCES cases (id),
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (person_id, case_id)
);

-- Consent forms and other papers of an order.
CREATE TABLE attachments (
    id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    clinic_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    blob_id TEXT NOT NULL,
    added_by TEXT NOT NULL REFERENCES persons (id),
    added_at BIGINT NOT NULL,
    removed_at BIGINT
);
CREATE INDEX attachments_by_order ON attachments (order_id);

-- When a device was last heard: an echo, an object.
ALTER TABLE devices ADD COLUMN echoed_at BIGINT;
ALTER TABLE devices ADD COLUMN stored_at BIGINT;

-- What a person decided about something that was put aside.
ALTER TABLE quarantine ADD COLUMN settled_at BIGINT;
ALTER TABLE quarantine ADD COLUMN settled_by TEXT;
ALTER TABLE quarantine ADD COLUMN settled_reason TEXT;

-- Working hours and holidays of an organization, JSON.
CREATE TABLE calendars (
    organization_id TEXT PRIMARY KEY REFERENCES organizations (id),
    body TEXT NOT NULL,
    version BIGINT NOT NULL
);

-- Studies of one patient, and events by what and when.
CREATE INDEX studies_by_patient ON studies (clinic_id, patient_id);
CREATE INDEX studies_by_name ON studies (patient_birth_date, patient_name);
CREATE INDEX events_by_kind ON events (kind, seq);
CREATE INDEX events_by_time ON events (at);
CREATE INDEX studies_by_date ON studies (study_date);
