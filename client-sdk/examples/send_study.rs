//! Sends the DICOM files of a folder over the clinic link and prints the relay's receipts.
//!
//! ```text
//! cargo run -p medrelay-client --example send_study -- DATA join https://relay.example.org:8443 CODE
//! cargo run -p medrelay-client --example send_study -- DATA send FOLDER [stat|urgent]
//! ```
//!
//! `DATA` is where the gateway's identity is kept. Sending the same folder again costs next to nothing:
//! the relay says what it has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use medrelay_client::link::{
    Ambient, Identity, Language, Link, MemoryShelf, Settings, join, words,
};
use medrelay_core::transfer::{Receipt, Urgency};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [data, "join", url, code] => {
            let joined = join(url, code, "example", Path::new(data), &Ambient::system()).await?;
            println!("joined as a gateway of {}", joined.identity.relay().clinic_name);
            Ok(())
        }
        [data, "send", folder] => send(data, folder, Urgency::Routine).await,
        [data, "send", folder, "urgent"] => send(data, folder, Urgency::Urgent).await,
        [data, "send", folder, "stat"] => send(data, folder, Urgency::Stat).await,
        _ => bail!("send_study DATA join URL CODE, or send_study DATA send FOLDER [stat|urgent]"),
    }
}

async fn send(data: &str, folder: &str, urgency: Urgency) -> Result<()> {
    let ambient = Ambient::system();
    let identity = Identity::load(Path::new(data))?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("{folder} cannot be read"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.is_file());
    files.sort();

    let shelf = Arc::new(MemoryShelf::new());
    let keys = shelf.add_files(&files, urgency, ambient.now())?;
    let link = Link::start(identity, shelf.clone(), Settings::default(), ambient);
    let mut state = link.state();
    tokio::spawn(async move {
        while state.changed().await.is_ok() {
            if let Some((_, problem)) = &state.borrow_and_update().last_problem {
                eprintln!("{}", words::problem(problem, Language::English));
            }
        }
    });
    for key in keys {
        let fate = shelf.settled(key).await;
        match fate.receipt {
            Some(signed) => {
                let receipt = Receipt::decode(&signed.raw)?;
                println!(
                    "{}: {} objects, {} bytes, committed; {} put aside",
                    receipt.study,
                    receipt.instances,
                    receipt.bytes,
                    receipt.aside.len()
                );
            }
            None => println!("refused: {:?}", fate.refused),
        }
    }
    let wire = link.state().borrow().sent_bytes;
    println!("{wire} bytes on the wire");
    link.stop().await;
    Ok(())
}
