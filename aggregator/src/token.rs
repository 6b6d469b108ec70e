//! Tokens: where a reader resumes. Opaque to clients; hexadecimal.

use std::hash::{DefaultHasher, Hash, Hasher};

use tonic::Status;
use uuid::Uuid;

use crate::ledger::{ListPosition, Position};

/// The first byte of a resume token; another layout gets another one.
const RESUME: u8 = 1;
/// The first byte of a page token.
const PAGE: u8 = 2;

/// A place in a ledger, for `WatchDiagnoses`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeToken {
    /// The epoch of the ledger that it is about.
    pub epoch: Uuid,
    /// The position up to which records were handled.
    pub position: Position,
}

impl ResumeToken {
    /// The token as an opaque string.
    pub fn encode(&self) -> String {
        let Position { offset, time } = self.position;
        hex(&[&[RESUME], &self.epoch.as_bytes()[..], &offset.to_be_bytes(), &time.to_be_bytes()].concat())
    }

    /// # Errors
    /// `INVALID_ARGUMENT` for what [`encode`](Self::encode) did not make.
    pub fn decode(token: &str) -> Result<Self, Status> {
        let malformed = || Status::invalid_argument("resume_token is not one of this service");
        let bytes: [u8; 33] = unhex(token).ok_or_else(malformed)?;
        let (epoch, rest) = bytes[1..].split_first_chunk::<16>().ok_or_else(malformed)?;
        let position = Position { offset: number(&rest[..8]), time: number(&rest[8..]) };
        if bytes[0] != RESUME || position.offset < 0 || position.time < 0 {
            return Err(malformed());
        }
        Ok(Self { epoch: Uuid::from_bytes(*epoch), position })
    }
}

/// A place in a list. It is a place between diagnoses, not a count of them, so it stays right while new ones arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// The last diagnosis that was given, or that was examined and not asked for.
    pub position: ListPosition,
    /// A hash of what was asked for: a token continues that same question only.
    pub question: u64,
}

impl PageToken {
    /// The token as an opaque string.
    pub fn encode(&self) -> String {
        let ListPosition { event_time, uid } = &self.position;
        hex(&[&[PAGE], &event_time.to_be_bytes()[..], uid.as_bytes(), &self.question.to_be_bytes()].concat())
    }

    /// The event time in a token, in nanoseconds since 1970, whatever it was made for.
    pub fn time(token: &str) -> Option<i64> {
        let bytes: [u8; 33] = unhex(token)?;
        (bytes[0] == PAGE).then(|| number(&bytes[1..9]))
    }

    /// # Errors
    /// `INVALID_ARGUMENT` for what [`encode`](Self::encode) did not make, or made for another question.
    pub fn decode(token: &str, question: u64) -> Result<Self, Status> {
        let malformed = || Status::invalid_argument("page_token is not one of this service");
        let bytes: [u8; 33] = unhex(token).ok_or_else(malformed)?;
        let (uid, asked) = bytes[9..].split_first_chunk::<16>().ok_or_else(malformed)?;
        let position = ListPosition { event_time: number(&bytes[1..9]), uid: Uuid::from_bytes(*uid) };
        if bytes[0] != PAGE {
            return Err(malformed());
        }
        if asked != question.to_be_bytes() {
            return Err(Status::invalid_argument("page_token belongs to a request with another filter or other times"));
        }
        Ok(Self { position, question })
    }
}

/// A hash of a question, so that a token is used with the same one only.
pub fn question(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

fn number(bytes: &[u8]) -> i64 {
    bytes.iter().fold(0, |number, byte| number << 8 | i64::from(*byte))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |d: u8| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn resume_tokens_round_trip(epoch: u128, offset in 0..i64::MAX, time in 0..i64::MAX) {
            let token = ResumeToken { epoch: Uuid::from_u128(epoch), position: Position { offset, time } };
            prop_assert_eq!(ResumeToken::decode(&token.encode()).unwrap(), token);
        }

        #[test]
        fn page_tokens_round_trip(event_time: i64, uid: u128, question: u64) {
            let token = PageToken { position: ListPosition { event_time, uid: Uuid::from_u128(uid) }, question };
            prop_assert_eq!(PageToken::decode(&token.encode(), question).unwrap(), token);
            prop_assert!(PageToken::decode(&token.encode(), !question).is_err());
            prop_assert_eq!(PageToken::time(&token.encode()), Some(event_time));
            prop_assert!(ResumeToken::decode(&token.encode()).is_err());
        }

        #[test]
        fn any_text_is_refused_or_understood(text: String) {
            prop_assert!(ResumeToken::decode(&text).is_err());
            prop_assert!(PageToken::decode(&text, 0).is_err());
        }
    }
}
