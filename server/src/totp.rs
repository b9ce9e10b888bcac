//! One-time codes by time (RFC 6238): HMAC-SHA-1, six digits, steps of 30 seconds, which is what
//! every authenticator app can do.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use medrelay_core::time::Timestamp;

/// Bytes of a shared secret: as long as the hash (RFC 4226 4).
pub const SECRET_BYTES: usize = 20;
/// Digits of a code.
pub const DIGITS: usize = 6;

const STEP_MICROS: i64 = 30_000_000;
/// Steps before and after the present one whose codes are taken too: clocks differ, people type.
const DRIFT_STEPS: i64 = 1;

/// The step of time that `now` is in.
pub fn step_at(now: Timestamp) -> i64 {
    now.micros().div_euclid(STEP_MICROS)
}

/// The code of a step of time.
pub fn code(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    // Dynamic truncation (RFC 4226 5.3): the last four bits say where to read.
    let at = usize::from(tag.last().copied().unwrap_or(0) & 0x0f);
    let word = tag.iter().skip(at).take(4).fold(0u32, |word, byte| word << 8 | u32::from(*byte));
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

/// The step whose code was typed, if it is near `now` and later than `last_used`: a code is good
/// once, and none is good that is older than one that was used.
pub fn matching_step(secret: &[u8], typed: &str, now: Timestamp, last_used: i64) -> Option<i64> {
    let present = step_at(now);
    // Every candidate is compared, so that the time tells nothing.
    let matches = |step: &i64| {
        verify_slices_are_equal(code(secret, *step).as_bytes(), typed.as_bytes()).is_ok()
    };
    let found: Vec<i64> = (present - DRIFT_STEPS..=present + DRIFT_STEPS).filter(matches).collect();
    found.into_iter().find(|step| *step > last_used)
}

/// The secret as authenticator apps take it when it is typed.
pub fn base32(secret: &[u8]) -> String {
    BASE32_NOPAD.encode(secret)
}

/// The address that an authenticator app reads from a QR code.
pub fn uri(issuer: &str, account: &str, secret: &[u8]) -> String {
    let (issuer, account) = (escaped(issuer), escaped(account));
    let secret = base32(secret);
    format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}\
         &algorithm=SHA1&digits={DIGITS}&period=30"
    )
}

/// Percent-encoding of everything that is not unreserved (RFC 3986 2.3).
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8; 20] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    /// RFC 6238 appendix B, SHA-1, the last six of the eight digits there.
    #[test]
    fn codes_are_those_of_the_standard() {
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(SECRET, step_at(at(seconds))), expected, "at {seconds} s");
        }
    }

    #[test]
    fn a_code_is_good_one_step_early_and_one_late() {
        let now = at(3_000_000);
        let step = step_at(now);
        for near in -1..=1 {
            let typed = code(SECRET, step + near);
            assert_eq!(matching_step(SECRET, &typed, now, 0), Some(step + near));
        }
        for far in [-2, 2] {
            assert_eq!(matching_step(SECRET, &code(SECRET, step + far), now, 0), None);
        }
        for bad in ["", "28708", "2870822", "abcdef", "２８７０８２"] {
            assert_eq!(matching_step(SECRET, bad, now, 0), None, "{bad}");
        }
        assert_eq!(matching_step(b"another secret      ", &code(SECRET, step), now, 0), None);
    }

    #[test]
    fn a_used_code_and_older_ones_are_worth_nothing() {
        let now = at(3_000_000);
        let step = step_at(now);
        assert_eq!(matching_step(SECRET, &code(SECRET, step), now, step), None);
        assert_eq!(matching_step(SECRET, &code(SECRET, step - 1), now, step), None);
        let next = code(SECRET, step + 1);
        assert_eq!(matching_step(SECRET, &next, now, step), Some(step + 1));
    }

    #[test]
    fn apps_can_read_the_address() {
        assert_eq!(base32(SECRET), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            uri("县医院", "wang.li@a", SECRET),
            "otpauth://totp/%E5%8E%BF%E5%8C%BB%E9%99%A2:wang.li%40a\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=%E5%8E%BF%E5%8C%BB%E9%99%A2&algorithm=SHA1&digits=6&period=30"
        );
    }
}
