//! Digests of uploads: SHA-256 of every file, and what clients ask to be compared.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::receive::field;
use crate::exchange::Exchange;
use crate::http::base64;

/// A SHA-256 that grows with a file.
#[derive(Clone, Default)]
pub struct Sha(Sha256);

impl Sha {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes so far.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// What the content of one request must hash to, and its hash so far.
pub struct Check {
    expected: Vec<u8>,
    hash: Hash,
}

enum Hash {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Check {
    /// From tus's `Upload-Checksum`: an algorithm, a space, a digest in base64. `Err` if it is
    /// malformed or the algorithm is not known.
    pub fn of_tus(value: &[u8]) -> Result<Check, ()> {
        let space = memchr::memchr(b' ', value).ok_or(())?;
        let hash = match &value[..space] {
            b"sha1" => Hash::Sha1(Sha1::default()),
            b"sha256" => Hash::Sha256(Sha256::default()),
            _ => return Err(()),
        };
        let expected = base64::decode(value[space + 1..].trim_ascii()).ok_or(())?;
        Ok(Check { expected, hash })
    }

    /// From a digest field (RFC 9530), `sha-256=:…:`; `None` if there is no such digest in it.
    pub fn of_digest_field(value: &[u8]) -> Option<Check> {
        let expected = sha256_of_field(value)?;
        Some(Check {
            expected,
            hash: Hash::Sha256(Sha256::default()),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.hash {
            Hash::Sha1(hash) => hash.update(bytes),
            Hash::Sha256(hash) => hash.update(bytes),
        }
    }

    /// Whether the content was what it should be.
    pub fn holds(self) -> bool {
        match self.hash {
            Hash::Sha1(hash) => self.expected == hash.finalize()[..],
            Hash::Sha256(hash) => self.expected == hash.finalize()[..],
        }
    }
}

/// What a request says of its body in `Content-Digest` and, where that is the whole, in
/// `Repr-Digest`.
pub fn checks_of(exchange: &Exchange) -> Vec<Check> {
    let fields = ["Content-Digest", "Repr-Digest"].into_iter();
    let fields = fields.filter_map(|name| field(exchange, name));
    fields.filter_map(Check::of_digest_field).collect()
}

/// Whether the client would hear the SHA-256 of what was stored (`Want-Repr-Digest`).
pub fn is_wanted(exchange: &Exchange) -> bool {
    field(exchange, "Want-Repr-Digest").is_some_and(|wanted| {
        let mut members = wanted.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        // A weight of 0 says that it is of no use.
        members.any(|member| member.starts_with(b"sha-256=") && member != b"sha-256=0")
    })
}

/// A SHA-256 as a digest field has it.
pub fn digest_field(digest: &[u8]) -> String {
    format!("sha-256=:{}:", base64::encode(digest))
}

/// The SHA-256 in a digest field (RFC 9530), if there is one.
pub fn sha256_of_field(value: &[u8]) -> Option<Vec<u8>> {
    let mut members = value.split(|byte| *byte == b',');
    let digest = members.find_map(|member| member.trim_ascii().strip_prefix(b"sha-256=:"))?;
    base64::decode(digest.strip_suffix(b":")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks() {
        let holds = |check: Option<Check>, content: &[u8]| {
            check.map(|mut check| {
                content.chunks(2).for_each(|piece| check.update(piece));
                check.holds()
            })
        };
        let tus = |value: &str| Check::of_tus(value.as_bytes()).ok();
        let field = |value: &str| Check::of_digest_field(value.as_bytes());
        assert_eq!(
            holds(tus("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="), b"hello world"),
            Some(true)
        );
        assert_eq!(
            holds(tus("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="), b"hello"),
            Some(false)
        );
        assert_eq!(holds(tus("crc32 AAAA"), b""), None);
        assert_eq!(holds(tus("sha1"), b""), None);
        let sha = "sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:";
        assert_eq!(holds(field(sha), b"hello world"), Some(true));
        assert_eq!(
            holds(field(&format!("md5=:AA==:, {sha}")), b"hello"),
            Some(false)
        );
        assert_eq!(holds(field("sha-512=:AA==:"), b""), None);
        let told = sha256_of_field(sha.as_bytes()).map(|digest| digest_field(&digest));
        assert_eq!(told.as_deref(), Some(sha));
        let mut whole = Sha::default();
        whole.update(b"hello world");
        assert_eq!(
            Some(whole.finish().to_vec()),
            sha256_of_field(sha.as_bytes())
        );
    }
}
