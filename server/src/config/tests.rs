//! The configuration as an operator meets it.

use std::path::Path;

use super::*;

fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let owned: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    owned.into_iter()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("the file is ours");
    file
}

fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let file = file(text);
    match Config::load(Some(file.path()), None, env(variables)) {
        Err(ConfigError::Wrong(problems)) => {
            problems.iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
        }
        other => panic!("expected problems, got {other:?}"),
    }
}

#[test]
fn nothing_given_means_the_defaults() {
    let loaded = Config::load(None, None, env(&[("PATH", "/bin")])).expect("the defaults hold");
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.origin("http.plain_listen"), Origin::Default);
}

#[test]
fn environment_wins_over_file_and_the_command_line_over_both() {
    let file = file("[data]\ndir = '/a'\n[dimse]\nae_title = 'FILE'\nartim_seconds = 7\n");
    let variables = [
        ("MEDRELAY__DATA__DIR", "/b"),
        ("MEDRELAY__DIMSE__AE_TITLE", "ENV"),
        ("MEDRELAY__DELIVERY__BACKOFF_SECONDS", "1, 2,3"),
        ("MEDRELAY__HTTPS__ENABLED", "false"),
        ("MEDRELAY__STUDY__QUIET_SECONDS__MG", "33"),
    ];
    let loaded = Config::load(Some(file.path()), Some(Path::new("/c")), env(&variables))
        .expect("a good configuration");
    let config = &loaded.config;
    assert_eq!(config.data.dir, Path::new("/c"));
    assert_eq!(config.dimse.ae_title, "ENV");
    assert_eq!(config.dimse.artim_seconds, 7);
    assert_eq!(config.delivery.backoff_seconds, [1, 2, 3]);
    assert!(!config.https.enabled);
    assert_eq!(config.study.quiet("MG").as_secs(), 33);
    assert_eq!(config.study.quiet("US").as_secs(), 120, "the other defaults stay");
    assert_eq!(config.study.quiet("PT").as_secs(), 60);
    assert_eq!(loaded.origin("data.dir"), Origin::CommandLine("--data"));
    assert_eq!(
        loaded.origin("dimse.ae_title"),
        Origin::Environment(String::from("MEDRELAY__DIMSE__AE_TITLE"))
    );
    assert_eq!(loaded.origin("dimse.artim_seconds"), Origin::File(file.path().to_owned()));
}

#[test]
fn unknown_keys_are_refused_with_the_one_that_was_meant() {
    let found = problems(
        "[dimse]\nae_titel = 'X'\n[http]\nmax_pdu_bytes = 1\n[nonsense]\nx = 1\n",
        &[("MEDRELAY__LOG__FORMT", "json")],
    );
    assert_eq!(
        found,
        [
            "dimse.ae_titel: there is no such key; did you mean `dimse.ae_title`?",
            "http.max_pdu_bytes: there is no such key; did you mean `dimse.max_pdu_bytes`?",
            "nonsense: there is no such key (see `medrelay config example`)",
            "log.formt: there is no such key; did you mean `log.format`?",
        ]
    );
}

#[test]
fn wrong_types_and_ranges_are_named_all_at_once() {
    let found = problems(
        "dimse = 3\n[claim]\nlimit = 'many'\n[disk]\nwarn_percent = 150\n[log]\nformat = 'xml'\n\
         [delivery]\nbackoff_seconds = []\n",
        &[("MEDRELAY__SESSIONS__IDLE_MINUTES", "soon")],
    );
    assert_eq!(
        found,
        [
            "claim.limit: must be a whole number, not string",
            "delivery.backoff_seconds: needs at least 1 entries",
            "dimse: is a section: its keys stand below it",
            "disk.warn_percent: must be from 1 to 99, not 150",
            "log.format: must be one of auto, pretty, json",
            "sessions.idle_minutes: must be a whole number, not string",
        ]
    );
}

#[test]
fn a_bad_address_names_its_key() {
    let found = problems("[http]\nplain_listen = 'localhost'\n", &[]);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("http.plain_listen: "), "{found:?}");
}

#[test]
fn rules_between_settings_hold() {
    for (text, key) in [
        ("[http]\nplain_listen = '0.0.0.0:8080'", "http.plain_listen"),
        ("[https]\ncertificate = 'a.pem'", "https.key"),
        ("[https]\nkey = 'a.pem'", "https.certificate"),
        ("[https]\nnames = []", "https.names"),
        ("[dimse]\nae_title = 'SEVENTEEN_LETTERS'", "dimse.ae_title"),
        ("[dimse]\nextra_sop_classes = ['1.02.3']", "dimse.extra_sop_classes"),
        ("[dimse]\nlisten = '127.0.0.1:8080'", "dimse.listen"),
        ("[claim]\nlease_minutes = 300", "claim.lease_minutes"),
        ("[sessions]\nidle_minutes = 800", "sessions.idle_minutes"),
        ("[study.quiet_seconds]\nct = 0", "study.quiet_seconds"),
        ("[database]\nurl = 'mysql://x'", "database.url"),
        ("[blobs]\nurl = 's3://b?endpoint=http://127.0.0.1:9000'", "blobs.url"),
        ("[log]\nfilter = '=='", "log.filter"),
        ("[secrets]\nmaster_key = 'abc'", "secrets.master_key"),
    ] {
        let found = problems(text, &[]);
        assert!(found.len() == 1 && found[0].starts_with(&format!("{key}: ")), "{text}: {found:?}");
    }
}

#[test]
fn secrets_come_from_files_and_are_not_shown() {
    let key = file("correct horse\n");
    let path = key.path().to_str().expect("a plain path");
    let variables = [
        ("MEDRELAY__BLOBS__S3_SECRET_KEY_FILE", path),
        ("MEDRELAY__DATABASE__URL", "postgres://u:hunter2@db/medrelay"),
    ];
    let loaded = Config::load(None, None, env(&variables)).expect("a good configuration");
    let secret = loaded.config.blobs.s3_secret_key.as_ref().expect("set");
    assert_eq!(secret.reveal(), "correct horse");
    let shown = loaded.show();
    assert!(!shown.contains("horse") && !shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("postgres://u:********@db/medrelay"), "{shown}");
    assert!(!format!("{loaded:?}").contains("hunter2"));

    let both = file(&format!("[blobs]\ns3_secret_key = 'x'\ns3_secret_key_file = '{path}'\n"));
    assert!(Config::load(Some(both.path()), None, env(&[])).is_err());
    let variables = [("MEDRELAY__BLOBS__S3_SECRET_KEY_FILE", "/nowhere/at/all")];
    assert!(Config::load(None, None, env(&variables)).is_err());
}

#[test]
fn stores_are_found_from_their_urls() {
    let config = |text: &str| {
        let file = file(text);
        Config::load(Some(file.path()), None, env(&[])).expect("a good configuration").config
    };
    let near = config("[data]\ndir = '/d'");
    assert_eq!(
        near.database_target(),
        Ok(DatabaseTarget::Sqlite { path: "/d/medrelay.sqlite".into() })
    );
    assert_eq!(near.blob_target(), Ok(BlobTarget::Directory("/d/blobs".into())));
    let far = config(
        "[blobs]\nurl = 's3://images/county?endpoint=https://s3.local'\ns3_region = 'r'\n\
         [database]\nurl = 'sqlite:///x/y.db'",
    );
    assert_eq!(far.database_target(), Ok(DatabaseTarget::Sqlite { path: "/x/y.db".into() }));
    let Ok(BlobTarget::S3(s3)) = far.blob_target() else { panic!("an S3 store") };
    assert_eq!((s3.bucket.as_str(), s3.prefix.as_str()), ("images", "county"));
    assert_eq!(s3.endpoint.as_deref(), Some("https://s3.local"));
}

#[test]
fn the_example_uncommented_is_valid_and_changes_no_default() {
    let example = Config::example_toml();
    let empty = file(&example);
    let loaded = Config::load(Some(empty.path()), None, env(&[])).expect("the example loads");
    assert_eq!(loaded.config, Config::default());

    // Lines that show an example instead of a default are about things that exclude each other:
    // those stay comments.
    let defaults = Table::try_from(Config::default()).expect("the defaults are TOML");
    let mut section: Vec<String> = Vec::new();
    let mut seen = 0;
    for line in example.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').split('.').map(str::to_owned).collect();
        } else if let Some(line) = line.strip_prefix('#').filter(|line| !line.starts_with(' ')) {
            let parsed: Table = line.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
            let (key, value) = parsed.into_iter().next().expect("one key a line");
            let known = section.iter().try_fold(&defaults, |table, name| table[name].as_table());
            let default = known.and_then(|table| table.get(&key));
            let given = default.filter(|default| **default != toml::Value::Array(Vec::new()));
            assert!(given.is_none_or(|default| *default == value), "{section:?} {key}");
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} keys in the example");
}

/// `MEDRELAY_WRITE_GENERATED=1` writes the files instead of comparing them.
#[test]
fn the_generated_files_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    for (name, text) in [
        ("medrelay.example.toml", Config::example_toml()),
        ("medrelay.schema.json", Config::schema_json()),
    ] {
        let path = folder.join(name);
        if std::env::var_os("MEDRELAY_WRITE_GENERATED").is_some() {
            std::fs::write(&path, &text).expect("config/ can be written");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "{name} is stale: MEDRELAY_WRITE_GENERATED=1 cargo test -p medrelay generated"
        );
    }
}
