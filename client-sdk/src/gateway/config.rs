//! What a clinic can set about its gateway: a small TOML file beside its data. Everything has a
//! default that works.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use medrelay_core::id::AeTitle;
use medrelay_core::time::Span;
use medrelay_core::transfer::Urgency;
use serde::Deserialize;

use crate::spool::{Retention, SpoolSettings};

/// Name of the file in the data directory.
pub const FILE: &str = "gateway.toml";

/// The settings of one gateway.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The title that modalities call.
    pub ae_title: String,
    /// Where modalities send to.
    pub listen: SocketAddr,
    /// Where the status page is; keep it on this machine.
    pub page: SocketAddr,
    /// Language of the texts: `zh` or `en`.
    pub language: Language,
    /// Minutes east of UTC: where the day begins, and the hours of the ceiling.
    pub utc_offset_minutes: i32,
    /// How much waits here, and for how long.
    pub spool: Spool,
    /// Folders whose new files are sent.
    pub watch: Watch,
    /// What is known of single modalities.
    pub modality: Vec<Modality>,
    /// Let only the modalities send that are listed.
    pub known_only: bool,
    /// How much of the line may be used, by the hour. The last one that has begun counts.
    pub ceiling: Vec<Ceiling>,
}

/// A language of the texts for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// 中文
    Zh,
    /// English
    En,
}

impl From<Language> for crate::link::words::Language {
    fn from(language: Language) -> Self {
        match language {
            Language::Zh => Self::Chinese,
            Language::En => Self::English,
        }
    }
}

/// How much waits here, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spool {
    /// GiB that may wait here.
    pub max_gib: u64,
    /// MiB that stay free on the disk.
    pub reserve_mib: u64,
    /// Seconds in which nothing must come for a study before it is sent.
    pub settle_seconds: u32,
    /// When files go after the relay's receipt: `after_days`, `when_needed` or `never`.
    pub delete: Delete,
    /// Days after the receipt, for `after_days`.
    pub keep_days: u32,
}

/// When files of committed studies go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delete {
    /// Some days after the receipt.
    AfterDays,
    /// When the spool needs the room.
    WhenNeeded,
    /// Never by themselves.
    Never,
}

/// Folders whose new files are sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Watch {
    /// Which.
    pub folders: Vec<PathBuf>,
    /// Seconds for which a file must not grow before it is taken.
    pub quiet_seconds: u32,
    /// Remove a file once it is safe in the spool.
    pub remove: bool,
}

/// What is known of one modality.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modality {
    /// The title that it calls with.
    pub ae_title: AeTitle,
    /// How soon its studies go: `stat`, `urgent` or `routine`.
    #[serde(default)]
    pub urgency: Soon,
}

/// How soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Soon {
    /// At once.
    Stat,
    /// Before the others.
    Urgent,
    /// In its turn.
    #[default]
    Routine,
}

impl From<Soon> for Urgency {
    fn from(soon: Soon) -> Self {
        match soon {
            Soon::Stat => Self::Stat,
            Soon::Urgent => Self::Urgent,
            Soon::Routine => Self::Routine,
        }
    }
}

/// How much of the line may be used from a time of the day on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    /// `HH:MM`, local time.
    pub from: String,
    /// Kilobits a second; 0 is no ceiling.
    pub kbit: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ae_title: "MEDRELAY".to_owned(),
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 11112)),
            page: SocketAddr::from((Ipv4Addr::LOCALHOST, 8090)),
            language: Language::Zh,
            utc_offset_minutes: 480,
            spool: Spool::default(),
            watch: Watch::default(),
            modality: Vec::new(),
            known_only: false,
            ceiling: Vec::new(),
        }
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            max_gib: 50,
            reserve_mib: 1024,
            settle_seconds: 5,
            delete: Delete::AfterDays,
            keep_days: 7,
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self { folders: Vec::new(), quiet_seconds: 10, remove: false }
    }
}

/// The file that `medrelay-gateway config` prints: every setting with its default.
pub const EXAMPLE: &str = include_str!("gateway.example.toml");

impl Config {
    /// Reads the file in the data directory; without one, the defaults.
    pub fn load(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => anyhow::bail!("{} cannot be read: {error}", path.display()),
        };
        let config: Self = toml::from_str(&text)
            .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        config.checked().map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
    }

    fn checked(self) -> anyhow::Result<Self> {
        AeTitle::parse(&self.ae_title).map_err(|error| anyhow::anyhow!("ae_title: {error}"))?;
        self.ceilings()?;
        Ok(self)
    }

    /// The spool's settings.
    pub fn spool(&self) -> SpoolSettings {
        let days = i64::from(self.spool.keep_days);
        SpoolSettings {
            max_bytes: self.spool.max_gib << 30,
            reserve_bytes: self.spool.reserve_mib << 20,
            settle: Span::from_secs(i64::from(self.spool.settle_seconds)),
            retention: match self.spool.delete {
                Delete::AfterDays => Retention::After(Span::from_hours(days * 24)),
                Delete::WhenNeeded => Retention::WhenNeeded,
                Delete::Never => Retention::Keep,
            },
        }
    }

    /// How soon the studies of a modality go.
    pub fn urgency_of(&self, ae_title: &str) -> Urgency {
        let known = self.modality.iter().find(|known| known.ae_title.as_str() == ae_title);
        known.map_or(Urgency::Routine, |known| known.urgency.into())
    }

    /// Whether a modality may send.
    pub fn admits(&self, ae_title: &str) -> bool {
        !self.known_only || self.modality.iter().any(|known| known.ae_title.as_str() == ae_title)
    }

    /// The ceilings as minute of the day and bytes a second, by time.
    pub fn ceilings(&self) -> anyhow::Result<Vec<(u16, Option<u64>)>> {
        let mut ceilings = Vec::with_capacity(self.ceiling.len());
        for ceiling in &self.ceiling {
            let minute = minute_of(&ceiling.from)
                .ok_or_else(|| anyhow::anyhow!("ceiling.from is a time such as \"08:30\""))?;
            ceilings.push((minute, (ceiling.kbit > 0).then_some(ceiling.kbit * 1000 / 8)));
        }
        ceilings.sort_unstable_by_key(|(minute, _)| *minute);
        Ok(ceilings)
    }
}

fn minute_of(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_the_default() {
        let example: Config = toml::from_str(EXAMPLE).expect("the example is valid");
        assert_eq!(example, Config::default());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(toml::from_str::<Config>("lissten = \"0.0.0.0:104\"").is_err());
        let wrong: Config =
            toml::from_str("[[ceiling]]\nfrom = \"25:00\"\nkbit = 1\n").expect("reads");
        assert!(wrong.ceilings().is_err());
    }
}
