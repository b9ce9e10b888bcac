//! The loop that does what falls due. It holds no state of its own: every job is a row.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::lifecycle::Lifecycle;
use crate::service::{Error, Service};

/// Jobs worked on at once: one slow PACS must not hold up the others.
const AT_ONCE: usize = 4;
/// How long the loop sleeps at most: other nodes' jobs are found only by looking.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Does what is due until the lifecycle's soft stop.
pub async fn run(service: Service, lifecycle: Lifecycle) {
    let stop = lifecycle.soft();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while !stop.is_cancelled() {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match service.take_job().await {
            Ok(Some(job)) => {
                let service = service.clone();
                drop(lifecycle.spawn(async move {
                    let kind = job.kind().to_owned();
                    if let Err(error) = service.work(job).await {
                        tracing::error!(job.kind = kind, %error, "a job's end could not be written");
                    }
                    drop(place);
                }));
            }
            Ok(None) => {
                drop(place);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = service.job_committed() => {}
                    () = tokio::time::sleep(sleep(&service).await) => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no job could be taken");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(LONGEST_SLEEP) => {}
                }
            }
        }
    }
}

/// Does everything that is due now and whatever becomes due by it, one after the other; says how
/// many jobs that were. For tests and for the command line, where time stands still.
pub async fn drain(service: &Service) -> Result<usize, Error> {
    let mut done = 0;
    while let Some(job) = service.take_job().await? {
        service.work(job).await?;
        done += 1;
    }
    Ok(done)
}

async fn sleep(service: &Service) -> Duration {
    match service.next_due().await {
        Ok(Some(due)) => {
            let wait = due.since(service.now()).micros();
            Duration::from_micros(u64::try_from(wait).unwrap_or(0)).min(LONGEST_SLEEP)
        }
        Ok(None) | Err(_) => LONGEST_SLEEP,
    }
}
