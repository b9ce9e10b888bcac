//! Accounts at the browser: invited, enrolled, signed in with a code, locked, proving it again
//! before signing; pages that are loaded again; preferences and texts for reports. Through the HTTP
//! interface, with time that passes when told to.

mod browser;
mod factor;
mod invited;
mod proving;
mod texts;

use anyhow::Result;
use medrelay::config::{Config, SecondFactor};
use medrelay_tests::relay::{Engine, Relay, tell_with};

/// Tells a story on SQLite and on PostgreSQL; the policy is `readers` in it.
macro_rules! stories {
    ($($story:path => $name:ident),+ $(,)?) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() -> Result<()> {
                told(Engine::Sqlite, async |relay: &mut Relay| $story(relay).await).await
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() -> Result<()> {
                told(Engine::Postgres, async |relay: &mut Relay| $story(relay).await).await
            }
        }
    )+};
}

stories! {
    invited::from_the_link_to_the_second_factor => from_the_link_to_the_second_factor,
    invited::links_are_good_once_and_not_for_ever => links_are_good_once_and_not_for_ever,
    invited::a_forgotten_password_is_replaced => a_forgotten_password_is_replaced,
    factor::codes_are_good_once_and_wrong_ones_lock => codes_are_good_once_and_wrong_ones_lock,
    factor::a_lost_phone => a_lost_phone,
    factor::removed_with_password_and_code => removed_with_password_and_code,
    proving::whoever_signs_has_proved_it_lately => whoever_signs_has_proved_it_lately,
    texts::preferences_are_saved_over_what_was_read => preferences_are_saved_over_what_was_read,
    texts::own_texts_and_everybodys => own_texts_and_everybodys,
}

/// Whoever reads must have a second factor only where a story says so.
async fn told<S>(engine: Engine, story: S) -> Result<()>
where
    S: AsyncFnOnce(&mut Relay) -> Result<()>,
{
    tell_with(engine, |_| {}, story).await
}

/// As the operator of a classified system sets it.
fn readers_need_it(config: &mut Config) {
    config.accounts.second_factor = SecondFactor::Readers;
}
