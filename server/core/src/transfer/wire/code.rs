//! The small enumerations of the protocol and their values on the wire.

use super::super::message::ItemKind;
use super::super::{CloseCode, Outcome, RefusalCode, Urgency};

macro_rules! codes {
    ($($name:ident { $($variant:ident)* })*) => {$(
        impl $name {
            /// The value on the wire.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The meaning of a value on the wire; `None` when it has none.
            pub const fn from_code(code: u8) -> Option<Self> {
                $(if code == Self::$variant as u8 {
                    return Some(Self::$variant);
                })*
                None
            }
        }
    )*};
}

codes! {
    Urgency { Stat Urgent Routine }
    Outcome { Stored OtherContent OtherOwner OtherPatient }
    RefusalCode {
        OutOfSpace Busy NotAnnounced Damaged OtherBytes Unreadable TooLarge BadManifest
        BadSignature OtherClinic
    }
    CloseCode { Done Version Violation Revoked Proof Stopping Crowded Moved Idle Closed }
    ItemKind { Report ReturnRequest Notice }
}
