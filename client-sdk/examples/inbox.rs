//! Prints what waits in a clinic's inbox, keeps the PDF files and, when asked to, acknowledges.
//!
//! ```text
//! MEDRELAY_PASSWORD=… cargo run -p medrelay-client --example inbox -- http://127.0.0.1:8080 LOGIN [--acknowledge]
//! ```

use anyhow::{Context as _, Result};
use medrelay_client::Client;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "inbox URL LOGIN [--acknowledge], with the password in MEDRELAY_PASSWORD";
    let base = arguments.next().context(usage)?;
    let login = arguments.next().context(usage)?;
    let acknowledges = arguments.next().is_some_and(|flag| flag == "--acknowledge");
    let password = std::env::var("MEDRELAY_PASSWORD").context(usage)?;

    let clinic = Client::new(&base)?.sign_in(&login, &password).await?;
    let mut after = None;
    loop {
        let page = clinic.inbox(after.as_deref()).await?;
        for entry in page.items.into_iter().filter(|entry| !entry.acknowledged) {
            let file = format!("{}.pdf", entry.report_number);
            std::fs::write(&file, clinic.report_pdf(&entry.report).await?)?;
            if acknowledges {
                clinic.acknowledge(&entry.id).await?;
            }
            println!("{} {} -> {file}", entry.report_number, entry.kind);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(clinic.sign_out().await?)
}
