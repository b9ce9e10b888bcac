//! A program's side of a medrelay, over its HTTP interface.
//!
//! [`Client`] signs in with a bearer token and offers one method per call: orders, studies and
//! their bytes, the queue, claims, drafts, signatures, reports, the clinic's inbox. Every refusal
//! of the relay comes back as a [`Problem`] with its stable code, and [`Error::retry_after`] says
//! whether the same call may succeed later.
//!
//! ```no_run
//! use medrelay_client::{Client, Text};
//!
//! # async fn read() -> Result<(), medrelay_client::Error> {
//! let reader = Client::new("https://relay.example.org:8443")?
//!     .sign_in("wangli", "three quiet rivers")
//!     .await?;
//! let claim = reader.next_case().await?;
//! let text = Text::new("双肺纹理清晰。", "未见异常。");
//! let report = reader.sign(&claim, &text).await?;
//! println!("{} is signed", report.number);
//! # Ok(())
//! # }
//! ```
//!
//! The client keeps no state of its own and never retries by itself. Calls that create something
//! take an idempotency key where asked to ([`Client::with_key`]), so that a caller can repeat
//! them safely. Patient data is in answers only, never in an error's text.

mod account;
mod cases;
mod client;
mod error;
pub mod gateway;
pub mod link;
mod orders;
mod paging;
mod reports;
pub mod spool;
mod studies;

pub use account::{Account, Grant, Session};
pub use cases::{Case, CaseDetail, CaseLine, CaseQuery, Claim, Hold, QueueLine};
pub use client::Client;
pub use error::{Error, Problem};
pub use orders::{NewOrder, Order, OrderChange, OrderQuery};
pub use paging::Page;
pub use reports::{
    Delivery, DeliveryQuery, Draft, InboxEntry, Report, Signatory, Text, Verification,
};
pub use studies::{Instance, Quarantined, Series, Study, StudyDetail, StudyQuery};
