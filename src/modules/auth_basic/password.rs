//! Whether a password is the one a hash was made of, in all the forms of htpasswd files.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use sha_crypt::{PasswordHashRef, PasswordVerifier, ShaCrypt};
use sha1::Sha1;

use super::des;

/// How long a SHA-1 digest is, in bytes.
const SHA1: usize = 20;

/// Whether checking `hash` takes long, since its makers meant it to.
pub(super) fn is_slow(hash: &[u8]) -> bool {
    hash.first() != Some(&b'{')
}

/// Whether `hash` was made of `password`; a hash of no known form was not.
pub(super) fn verify(password: &[u8], hash: &[u8]) -> bool {
    if let Some(plain) = hash.strip_prefix(b"{PLAIN}") {
        return same(plain, password);
    }
    if let Some(encoded) = hash.strip_prefix(b"{SSHA}") {
        return salted_sha1(password, encoded);
    }
    if let Some(encoded) = hash.strip_prefix(b"{SHA}") {
        let digest = BASE64_STANDARD.encode(Sha1::digest(password));
        return same(encoded, digest.as_bytes());
    }
    match hash.get(..3) {
        Some(b"$1$") => md5_crypt(password, hash, b"$1$"),
        Some(b"$ap") => md5_crypt(password, hash, b"$apr1$"),
        Some(b"$5$" | b"$6$") => sha_crypt(password, hash),
        Some(b"$2a" | b"$2b" | b"$2x" | b"$2y") => {
            text(hash).is_some_and(|hash| bcrypt::verify(password, hash).unwrap_or(false))
        }
        _ => des::crypt(password, hash).is_some_and(|own| same(&own, hash)),
    }
}

fn text(hash: &[u8]) -> Option<&str> {
    std::str::from_utf8(hash).ok()
}

/// Compares without telling by the time it takes where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differences) == 0
}

/// Base64 of the digest, with the salt behind it.
fn salted_sha1(password: &[u8], encoded: &[u8]) -> bool {
    let Ok(decoded) = BASE64_STANDARD.decode(encoded) else {
        return false;
    };
    let Some((digest, salt)) = decoded.split_at_checked(SHA1) else {
        return false;
    };
    let own = Sha1::new().chain_update(password).chain_update(salt);
    same(&own.finalize(), digest)
}

fn sha_crypt(password: &[u8], hash: &[u8]) -> bool {
    let hash = text(hash).and_then(|hash| PasswordHashRef::new(hash).ok());
    hash.is_some_and(|hash| ShaCrypt::default().verify_password(password, hash).is_ok())
}

/// Poul-Henning Kamp's MD5 crypt, which Apache uses with another `magic`.
fn md5_crypt(password: &[u8], hash: &[u8], magic: &[u8]) -> bool {
    let Some(rest) = hash.strip_prefix(magic) else {
        return false;
    };
    let end = rest
        .iter()
        .take(8)
        .take_while(|byte| **byte != b'$')
        .count();
    let (salt, rest) = rest.split_at(end);
    let Some(encoded) = rest.strip_prefix(b"$") else {
        return false;
    };
    same(encoded, &md5_digest(password, salt, magic))
}

fn md5_digest(password: &[u8], salt: &[u8], magic: &[u8]) -> [u8; 22] {
    let mut outer = Md5::new();
    [password, magic, salt]
        .iter()
        .for_each(|part| outer.update(part));
    let mut inner = Md5::new();
    [password, salt, password]
        .iter()
        .for_each(|part| inner.update(part));
    let mut digest: [u8; 16] = inner.finalize().into();
    let fill = digest.iter().cycle().take(password.len());
    outer.update(fill.copied().collect::<Vec<u8>>());
    let mut length = password.len();
    while length > 0 {
        // Whether a zero or the password's first byte: so it was written once, and so it stayed.
        outer.update([if length & 1 == 1 { 0 } else { password[0] }]);
        length >>= 1;
    }
    digest = outer.finalize().into();
    for round in 0..1000 {
        digest = md5_round(round, password, salt, &digest);
    }
    md5_encode(&digest)
}

fn md5_round(round: u32, password: &[u8], salt: &[u8], digest: &[u8; 16]) -> [u8; 16] {
    let (first, last): (&[u8], &[u8]) = match round % 2 {
        0 => (digest, password),
        _ => (password, digest),
    };
    let mut hasher = Md5::new();
    hasher.update(first);
    if !round.is_multiple_of(3) {
        hasher.update(salt);
    }
    if !round.is_multiple_of(7) {
        hasher.update(password);
    }
    hasher.update(last);
    hasher.finalize().into()
}

/// Three bytes at a time, in an order of its own, as four characters.
fn md5_encode(digest: &[u8; 16]) -> [u8; 22] {
    const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];
    let mut encoded = [0; 22];
    let groups = ORDER.map(|group| {
        group
            .into_iter()
            .fold(0, |sum, at| sum << 8 | u32::from(digest[at]))
    });
    let groups = groups.into_iter().chain([u32::from(digest[11])]);
    for (group, to) in groups.zip(encoded.chunks_mut(4)) {
        for (place, character) in to.iter_mut().enumerate() {
            *character = des::ALPHABET[(group >> (6 * place) & 63) as usize];
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_hash() {
        let hashes = [
            "{PLAIN}password",
            "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
            "{SSHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0",
            "$apr1$salt$Xxd1irWT9ycqoYxGFn4cb.",
            "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
            "sa3tHJ3/KuYvI",
            "$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1",
            "$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.",
        ];
        for hash in hashes {
            assert!(verify(b"password", hash.as_bytes()), "{hash}");
            for wrong in ["", "passwor", "passwore", "Password"] {
                assert!(!verify(wrong.as_bytes(), hash.as_bytes()), "{hash} {wrong}");
            }
        }
    }

    #[test]
    fn bcrypt_in_its_versions() {
        let own = bcrypt::hash_with_salt("password", 4, *b"sixteen bytes ok").unwrap();
        for version in ["$2y$", "$2b$", "$2a$"] {
            let hash = own.to_string().replacen("$2b$", version, 1);
            assert!(verify(b"password", hash.as_bytes()), "{hash}");
            assert!(!verify(b"passwore", hash.as_bytes()), "{hash}");
        }
    }

    #[test]
    fn passwords_of_every_length() {
        let long = "x".repeat(40);
        for (password, hash) in [
            ("", "$1$salt$UsdFqFVB.FsuinRDK5eE.."),
            ("0123456789abcdef0", "$1$saltsalt$2ympaZhX5z2jW2hPuppPp0"),
            (&*long, "$1$saltsalt$lTT80f5GEB.8cfLv43D0D1"),
            ("", "saFLGt/QKS6yw"),
            ("longer than eight", "zz.JiwC6aD7cA"),
            ("longer t", "zz.JiwC6aD7cA"),
        ] {
            assert!(
                verify(password.as_bytes(), hash.as_bytes()),
                "{hash} {password}"
            );
        }
        assert!(verify(b"p\xe4ss", b"./h7BCjdATwo."));
    }

    #[test]
    fn broken_hashes_match_nothing() {
        for hash in [
            "",
            "x",
            "$",
            "$1$",
            "$1$salt",
            "$apr1$",
            "$apr",
            "$5$",
            "$6$salt$",
            "$2y$",
            "$2y$10$short",
            "{SSHA}_____wQadOA1e+/f+T+H3eCQQhRzYWx0",
            "{SSHA}Zm9vCg==",
            "{SHA}Zm9vCg==",
            "{SHA}",
            "!!",
            "\u{e9}\u{e9}\u{e9}",
        ] {
            for password in ["", "1", "password"] {
                assert!(
                    !verify(password.as_bytes(), hash.as_bytes()),
                    "{hash} {password}"
                );
            }
        }
    }
}
