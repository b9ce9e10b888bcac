//! The demonstration on free ports: made once, whole, and never over somebody's data.

use std::net::SocketAddr;

use medrelay_core::people::{Priority, Role};
use medrelay_core::study::Stage;

use super::consortium::{CLINICS, Consortium};
use super::*;
use crate::service::queueing::QueueFilter;
use crate::store::StudyFilter;

/// A relay with nothing in it, on this machine, without waiting for anything.
async fn relay(dir: &Path) -> (Config, Relay) {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut config = Config::default();
    config.data.dir = dir.to_owned();
    config.http.plain_listen = free;
    config.https.enabled = false;
    config.dimse.listen = free;
    // The test does the jobs itself, so that it knows when they are done.
    let ambient = Ambient { jobs_by_themselves: false, ..Ambient::system() };
    let relay = app::start(&config, ambient).await.expect("a relay starts");
    (config, relay)
}

async fn stop(config: &Config, relay: Relay) {
    relay.lifecycle.stop();
    serve::until_stopped(config, relay).await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_studies_come_through_the_door_and_seven_wait_for_a_reader() {
    let dir = tempfile::tempdir().expect("a directory");
    let marker = dir.path().join(MARKER);
    let (config, relay) = relay(dir.path()).await;
    assert!(matches!(look(&relay, &marker).await.expect("it answers"), Found::Nothing));
    let consortium = consortium::make(&relay.service).await.expect("a consortium");
    assert!(matches!(look(&relay, &marker).await.expect("it answers"), Found::SomethingElse));
    studies::send(&relay, &consortium, &|_: &str| {}).await.expect("studies");
    std::fs::write(&marker, "").expect("a marker");
    assert!(matches!(look(&relay, &marker).await.expect("it answers"), Found::Samples));

    let filter = crate::store::TemplateFilter::default();
    let verifier = hospital(&consortium);
    let texts = relay.service.templates(&verifier, &filter, None, 200).await.expect("texts");
    assert_eq!(texts.len(), 20);

    let mut stages = Vec::new();
    for clinic in 0..CLINICS.len() {
        let technician = somebody(&consortium, Role::Technician, clinic);
        let studies = relay.service.studies(&technician, &StudyFilter::default(), None, 200).await;
        for study in studies.expect("the technician may see them") {
            assert_eq!(study.trouble, None, "{}", study.uid);
            stages.push(study.stage);
        }
    }
    assert_eq!(stages.len(), 8);
    assert_eq!(stages.iter().filter(|stage| **stage == Stage::Arriving).count(), 1);

    while let Some(job) = relay.service.take_job().await.expect("jobs") {
        relay.service.work(job).await.expect("its end is written");
    }
    let all = QueueFilter { limit: 200, ..QueueFilter::default() };
    let queue = relay.service.queue(&hospital(&consortium), &all).await.expect("a queue").entries;
    let priorities: Vec<Priority> = queue.iter().map(|entry| entry.view.case.priority).collect();
    assert_eq!(priorities.len(), 7);
    assert_eq!(priorities[..2], [Priority::Stat, Priority::Urgent]);
    stop(&config, relay).await;
}

#[test]
fn only_who_is_told_to_listens_to_other_machines() {
    let load = |env: &[(&str, &str)]| {
        let env = env.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        on_this_machine(Config::load(None, None, env).expect("a configuration"))
    };
    let untold = load(&[]);
    assert!(untold.http.plain_listen.ip().is_loopback());
    assert!(untold.https.listen.ip().is_loopback());
    assert!(untold.dimse.listen.ip().is_loopback());
    assert_eq!(untold.dimse.listen.port(), 11112);
    let told = load(&[("MEDRELAY__DIMSE__LISTEN", "0.0.0.0:104")]);
    assert_eq!(told.dimse.listen, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 104)));
}

fn somebody(consortium: &Consortium, role: Role, clinic: usize) -> Caller {
    consortium.somebody(role, clinic).expect("the sample consortium has one")
}

/// The verifier of the lead hospital.
fn hospital(consortium: &Consortium) -> Caller {
    consortium.of_role(Role::Verifier).expect("the sample consortium has one")
}
