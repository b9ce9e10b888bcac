//! The test harness: a whole relay and a consortium in one process, real servers and foreign
//! programs as peers, each certain to end with the test.

pub mod binary;
pub mod browser;
pub mod clinic;
pub mod documents;
pub mod gateway;
pub mod gateway_site;
pub mod ledger;
pub mod line;
pub mod modality;
pub mod objects3;
pub mod pacs;
pub mod postgres;
pub mod process;
pub mod receipts;
pub mod relay;
pub mod storm;
pub mod volume;
